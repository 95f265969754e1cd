//! What is printed for somebody who may stop reading.

use std::io::{self, Write};

/// Prints it all; a reader that has seen enough is no failure.
pub fn print(mut out: impl Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what is written and loses it when it is flushed.
    struct Losing(io::ErrorKind);

    impl Write for Losing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_a_reader_that_left_is_no_failure() {
        let print = |kind| print(Losing(kind), |out| out.write_all(b"text"));
        assert!(print(io::ErrorKind::BrokenPipe).is_ok());
        assert!(print(io::ErrorKind::StorageFull).is_err());
    }
}
