//! A few lines in the terminal that are redrawn in place; plain lines now and then where there is no terminal.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const PLAIN_LINES_EVERY: Duration = Duration::from_secs(2);

/// A board of lines.
#[derive(Debug)]
pub struct Board {
    screen: MultiProgress,
    lines: Vec<ProgressBar>,
    bar: ProgressBar,
    /// Without a terminal: what each line says, and when it was last printed.
    plain: Option<Mutex<Vec<PlainLine>>>,
}

#[derive(Debug, Clone, Default)]
struct PlainLine {
    printed: Option<Instant>,
    /// What is still to be printed.
    waiting: Option<String>,
}

impl Board {
    /// A board with `lines` lines and a bar over `total` steps beneath them.
    pub fn new(lines: usize, total: u64) -> Self {
        let screen = MultiProgress::new();
        let plain_style =
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar_style = ProgressStyle::with_template("[{bar:40}] {pos}/{len}  {per_sec}  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let lines = (0..lines)
            .map(|_| screen.add(ProgressBar::new(0).with_style(plain_style.clone())))
            .collect::<Vec<_>>();
        let bar = screen.add(ProgressBar::new(total).with_style(bar_style.progress_chars("=> ")));
        let plain =
            (!std::io::stderr().is_terminal()).then(|| Mutex::new(vec![PlainLine::default(); lines.len()]));
        Self { screen, lines, bar, plain }
    }

    /// Sets a line; beyond the last one nothing happens.
    pub fn line(&self, index: usize, text: String) {
        let Some(line) = self.lines.get(index) else { return };
        match &self.plain {
            None => line.set_message(text),
            Some(plain) => {
                let mut plain = plain.lock().unwrap_or_else(PoisonError::into_inner);
                let line = &mut plain[index];
                if line.printed.is_none_or(|last| last.elapsed() >= PLAIN_LINES_EVERY) {
                    print(&text);
                    *line = PlainLine { printed: Some(Instant::now()), waiting: None };
                } else {
                    line.waiting = Some(text);
                }
            }
        }
    }

    /// Moves the bar.
    pub fn progress(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// Prints a line above the board, to stay.
    pub fn say(&self, text: &str) {
        match &self.plain {
            None => drop(self.screen.println(text)),
            Some(_) => print(text),
        }
    }

    /// Leaves the lines as they are and ends the redrawing.
    pub fn finish(&self) {
        if let Some(plain) = &self.plain {
            let mut plain = plain.lock().unwrap_or_else(PoisonError::into_inner);
            plain.iter_mut().filter_map(|line| line.waiting.take()).for_each(|text| print(&text));
        }
        self.lines.iter().for_each(ProgressBar::abandon);
        self.bar.abandon();
    }
}

/// A closed pipe is no fault of the example.
fn print(text: &str) {
    writeln!(std::io::stdout().lock(), "{text}").ok();
}
