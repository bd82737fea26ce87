//! What a person does in the page: click, type, press keys, hover, drag. Each waits until the thing is there, up to a
//! deadline, and knows nothing of what should follow.

use std::time::{Duration, Instant};

use thirtyfour::prelude::*;

use super::app::{App, LOOK, SOON};

impl App {
    /// Clicks the first element with the test id, as soon as it can be clicked.
    pub async fn click(&self, id: &str) {
        self.click_css(&by_id(id)).await;
    }

    /// Clicks the nth element with the test id, counted from 0.
    pub async fn click_nth(&self, id: &str, index: usize) {
        self.attempt(&format!("clicking {id} number {index}"), async || {
            let all = self.driver.find_all(By::Css(by_id(id))).await?;
            match all.get(index) {
                Some(element) => element.click().await,
                None => Err(missing(&format!("{id} number {index}"))),
            }
        })
        .await;
    }

    /// Clicks what a CSS selector finds first.
    pub async fn click_css(&self, css: &str) {
        self.attempt(&format!("clicking {css}"), async || self.driver.find(By::Css(css)).await?.click().await).await;
    }

    /// Clicks the first button that reads so, anywhere in the page.
    pub async fn click_button(&self, words: &str) {
        let path = format!("//button[contains(normalize-space(.), \"{words}\")]");
        let what = format!("clicking the button {words:?}");
        self.attempt(&what, async || self.driver.find(By::XPath(path.as_str())).await?.click().await).await;
    }

    /// Moves the pointer over the element.
    pub async fn hover(&self, id: &str) {
        self.attempt(&format!("hovering over {id}"), async || {
            let element = self.driver.find(By::Css(by_id(id))).await?;
            self.driver.action_chain().move_to_element_center(&element).perform().await
        })
        .await;
    }

    /// Double-clicks the nth element with the test id.
    pub async fn double_click_nth(&self, id: &str, index: usize) {
        self.attempt(&format!("double-clicking {id} number {index}"), async || {
            let all = self.driver.find_all(By::Css(by_id(id))).await?;
            let element = all.get(index).ok_or_else(|| missing(id))?;
            self.driver.action_chain().double_click_element(element).perform().await
        })
        .await;
    }

    /// Drags the nth element with the test id onto another one, past its middle.
    pub async fn drag(&self, id: &str, from: usize, to: usize) {
        self.attempt(&format!("dragging {id} {from} to {to}"), async || {
            let all = self.driver.find_all(By::Css(by_id(id))).await?;
            let (Some(source), Some(target)) = (all.get(from), all.get(to)) else { return Err(missing(id)) };
            let width = target.rect().await?.width;
            // Over the far half of the target, in two moves: a press and one jump is no drag to any page.
            #[allow(clippy::cast_possible_truncation)] // A tab's width in pixels fits.
            let past = if to > from { (width / 4.0) as i64 } else { -((width / 4.0) as i64) };
            let chain = self.driver.action_chain().click_and_hold_element(source).move_by_offset(past.signum() * 8, 0);
            chain.move_to_element_center(target).move_by_offset(past, 0).release().perform().await
        })
        .await;
    }

    /// Opens everything that is folded away in the tab's page: its inside is in the document only while it is open.
    pub async fn unfold(&self) {
        let script = "document.querySelectorAll('main button[aria-expanded=false]:not([aria-haspopup], [data-testid])')
             .forEach(fold => fold.click()); return true;";
        self.script(script).await;
    }

    /// Types into the element, as if on a keyboard.
    pub async fn type_into(&self, id: &str, text: &str) {
        self.type_css(&by_id(id), text).await;
    }

    /// Types into what a CSS selector finds first.
    pub async fn type_css(&self, css: &str, text: &str) {
        let what = format!("typing into {css}");
        self.attempt(&what, async || self.driver.find(By::Css(css)).await?.send_keys(text).await).await;
    }

    /// Empties a field as a person does: all of it marked and deleted.
    pub async fn empty(&self, id: &str) {
        self.attempt(&format!("emptying {id}"), async || {
            let element = self.driver.find(By::Css(by_id(id))).await?;
            element.send_keys(Key::Control + "a").await?;
            element.send_keys(Key::Delete + "").await
        })
        .await;
    }

    /// Presses a key with Control held, wherever the focus is.
    pub async fn press_control(&self, key: char) {
        self.press_with(&[Key::Control], key).await;
    }

    /// Presses a key with others held, wherever the focus is.
    pub async fn press_with(&self, held: &[Key], key: char) {
        self.attempt(&format!("pressing {key:?} with {held:?}"), async || {
            let mut chain = self.driver.action_chain();
            for held in held {
                chain = chain.key_down(held.clone());
            }
            chain = chain.key_down(key).key_up(key);
            for held in held.iter().rev() {
                chain = chain.key_up(held.clone());
            }
            chain.perform().await
        })
        .await;
    }

    /// Presses one key, wherever the focus is.
    pub async fn press(&self, key: Key) {
        self.press_with(&[], key.value()).await;
    }

    /// Writes into the composer and sends it.
    pub async fn send(&self, text: &str) {
        self.type_into("composer", text).await;
        self.click("send").await;
        let what = format!("the composer let go of {text:?}");
        self.until(&what, SOON, async |page| page.composer.as_deref().is_some_and(str::is_empty).then_some(())).await;
    }

    /// Opens a workspace through the new-tab page, which must be shown.
    pub async fn open_workspace(&self, path: &str) {
        self.empty("workspace-path").await;
        self.type_into("workspace-path", path).await;
        self.click("open-workspace").await;
    }

    /// Makes the tab at this place, counted from 0, the active one.
    pub async fn activate(&self, index: usize) {
        self.click_nth("tab", index).await;
        let what = format!("tab number {index} is active");
        self.until(&what, SOON, async |page| page.tabs.get(index).is_some_and(|tab| tab.active).then_some(())).await;
    }

    /// Tries until it works or time is up: an element can be there, covered, or just being replaced.
    async fn attempt(&self, what: &str, act: impl AsyncFn() -> WebDriverResult<()>) {
        let deadline = Instant::now() + SOON;
        loop {
            match act().await {
                Ok(()) => return,
                Err(error) if Instant::now() >= deadline => self.fail(&format!("{what}: {error}")).await,
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// How long the details may take to show after the pointer or the focus is there.
pub const DETAILS_WITHIN: Duration = Duration::from_millis(500);

fn by_id(id: &str) -> String {
    format!("[data-testid=\"{id}\"]")
}

fn missing(what: &str) -> WebDriverError {
    WebDriverError::from_inner(thirtyfour::error::WebDriverErrorInner::NotFound(
        what.to_owned(),
        "it is not in the page".to_owned(),
    ))
}
