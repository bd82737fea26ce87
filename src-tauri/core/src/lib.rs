//! The whole of Gemra without a window.
