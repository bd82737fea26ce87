//! The types of images.

use gemra_core::container::image::disk::{self, Kept};
use gemra_core::container::image::file::Loaded;
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

impl From<Loaded> for wire::LoadedImage {
    fn from(loaded: Loaded) -> Self {
        let Loaded { names, ours } = loaded;
        Self { names, ours }
    }
}

impl From<&Kept> for wire::HeldImage {
    #[allow(clippy::cast_precision_loss)] // No image has 2^53 bytes, nor is as many milliseconds old.
    fn from(image: &Kept) -> Self {
        let Kept { id, names, bytes, made, source, used } = image;
        Self {
            id: id.clone(),
            names: names.iter().map(|name| disk::plain(name).unwrap_or(name).to_owned()).collect(),
            source: source.clone(),
            size: *bytes as f64,
            made: *made as f64 * 1000.0,
            used: *used,
        }
    }
}
