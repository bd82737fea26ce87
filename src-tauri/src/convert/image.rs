//! The types of images.

use gemra_core::container::image::templates::Template;

use crate::wire::image as wire;

impl From<&Template> for wire::Template {
    fn from(template: &Template) -> Self {
        let Template { id, name, words, text } = template;
        let owned = |text: &str| text.to_owned();
        Self { id: owned(id), name: owned(name), words: owned(words), text: owned(text) }
    }
}

impl wire::ImageProgress {
    /// Of bytes, which are fewer than a number of the page's can tell apart.
    #[allow(clippy::cast_precision_loss)] // No image has 2^53 bytes.
    pub(crate) fn of(bytes: u64, total: u64) -> Self {
        Self { bytes: bytes as f64, total: total as f64 }
    }
}
