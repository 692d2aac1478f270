//! The progress bar, on a terminal only: how many scenario runs have ended, and how many went wrong.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use netproof_model::event::Counts;

/// A progress bar on standard error, or nothing.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// No bar.
    pub(super) fn none() -> Self {
        Progress { bar: None }
    }

    /// A bar for this many scenario runs.
    pub(super) fn start(runs: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(runs as u64), ProgressDrawTarget::stderr());
        // The template is a constant; if it were wrong, the bar would look like indicatif's own. A wide
        // message is cut to the terminal's width: a longer line could not be removed again.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {wide_msg}") {
            bar.set_style(style.progress_chars("##-"));
        }
        bar.set_message(message(runs as u64, &Counts::default()));
        Progress { bar: Some(bar) }
    }

    /// Shows the progress.
    pub(super) fn update(&self, ended: &Counts) {
        let Some(bar) = &self.bar else { return };
        bar.set_message(message(bar.length().unwrap_or_default(), ended));
        bar.set_position(ended.total() as u64);
    }

    /// Writes to the terminal while the bar is hidden.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Removes the bar.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// `3 of 10 scenario runs, 1 failed`
fn message(runs: u64, ended: &Counts) -> String {
    let mut message = format!("{} of {runs} scenario runs", ended.total());
    for (n, word) in [(ended.failed, "failed"), (ended.errored, "without a verdict")] {
        if n > 0 {
            message.push_str(&format!(", {n} {word}"));
        }
    }
    message
}
