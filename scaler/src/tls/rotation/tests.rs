use opentelemetry::global;

use super::super::tests::Folder;
use super::*;

fn rotation(folder: &Folder) -> Rotation {
    let files = folder.files();
    let loaded = files.load().unwrap();
    Rotation::new(files, loaded, Metrics::new(&global::meter("test")))
}

impl Rotation {
    /// A look; whether another configuration is in use afterwards.
    fn look(&mut self) -> bool {
        let before = Arc::clone(&self.configs.borrow());
        self.consider(Seen::look(&self.files.clone()));
        !Arc::ptr_eq(&before, &self.configs.borrow())
    }
}

#[test]
fn new_files_are_taken_at_the_first_look() {
    let folder = Folder::new();
    let mut rotation = rotation(&folder);
    assert!(!rotation.look());
    folder.renew("scaler");
    assert!(rotation.look());
    assert!(!rotation.look());
}

#[test]
fn broken_files_are_doubted_then_said_and_never_taken() {
    let folder = Folder::new();
    let mut rotation = rotation(&folder);
    folder.write("key", "half");
    assert!(!rotation.look());
    assert!(matches!(rotation.trouble, Trouble::Doubtful(_)), "the rest may be on its way");
    assert!(!rotation.look());
    let said = rotation.trouble;
    assert!(matches!(said, Trouble::Said(_)));
    assert!(!rotation.look());
    assert_eq!(rotation.trouble, said, "once");
    folder.write("key", "other half");
    assert!(!rotation.look() && matches!(rotation.trouble, Trouble::Doubtful(_)), "another mistake is said again");
    folder.renew("scaler");
    assert!(rotation.look());
    assert_eq!(rotation.trouble, Trouble::None);
}

#[test]
fn the_old_files_come_back() {
    let folder = Folder::new();
    let files = folder.files();
    let key = std::fs::read_to_string(&files.key).unwrap();
    let mut rotation = rotation(&folder);
    folder.write("key", "");
    assert!(!rotation.look() && !rotation.look());
    folder.write("key", &key);
    assert!(!rotation.look());
    assert_eq!(rotation.trouble, Trouble::None);
    std::fs::remove_file(&files.cert).unwrap();
    assert!(!rotation.look() && !rotation.look());
    assert!(matches!(rotation.trouble, Trouble::Said(_)), "a missing file is a broken one");
}
