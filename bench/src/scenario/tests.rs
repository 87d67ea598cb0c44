//! Command lines, the plans that they make, and how plans are cut.
