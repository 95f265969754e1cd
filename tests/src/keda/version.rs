//! What differs between KEDA's versions (pure).

use std::fmt;

/// A version of KEDA, with its patches: 2.20 is 2.20.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Integers only; a pushed `false` scales to zero.
    V2_16,
    /// Floats; a pushed `false` is passed over.
    V2_18,
    /// Metric names have to be known before a pushed `true` counts; negative values are zero.
    V2_20,
    /// Targets may be streamed.
    V2_21,
}

impl Version {
    /// Oldest first.
    pub const ALL: [Self; 4] = [Self::V2_16, Self::V2_18, Self::V2_20, Self::V2_21];

    /// `targetSizeFloat` and `metricValueFloat` are read (from 2.17, PR #6482).
    pub fn reads_floats(self) -> bool {
        self >= Self::V2_18
    }

    /// A pushed `false` scales to zero at once (until 2.18, #6986).
    pub fn obeys_false(self) -> bool {
        self < Self::V2_18
    }

    /// The fallback makes a trigger active, so that it scales from zero too (from 2.19, #7239).
    pub fn fallback_is_active(self) -> bool {
        self >= Self::V2_20
    }

    /// An autoscaler is not created while no trigger has a spec (from 2.20, #7729); earlier it got the default of the
    /// API server, 80 % of CPU, for good.
    pub fn needs_specs(self) -> bool {
        self >= Self::V2_20
    }

    /// A pushed `true` is dropped while the metric's name is not recorded (from 2.20, #8168).
    pub fn needs_name_for_true(self) -> bool {
        self >= Self::V2_20
    }

    /// Negative values and NaN are taken for zero (from 2.20.2, #7880).
    pub fn mends_values(self) -> bool {
        self >= Self::V2_20
    }

    /// `StreamMetricSpec` is called (from 2.21, #7793).
    pub fn streams_specs(self) -> bool {
        self >= Self::V2_21
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2_16 => "2.16",
            Self::V2_18 => "2.18",
            Self::V2_20 => "2.20",
            Self::V2_21 => "2.21",
        })
    }
}
