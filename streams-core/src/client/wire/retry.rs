//! Pauses between retries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::config::WireConfig;

/// Doubling pauses within a deadline. A fifth of each is chance, so that many clients do not come back in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
    deadline: Instant,
}

impl Backoff {
    /// Pauses as `config` says, for `api_timeout` in all.
    pub(crate) fn new(config: &WireConfig) -> Self {
        Self {
            next: config.retry_backoff,
            max: config.retry_backoff_max,
            deadline: Instant::now() + config.api_timeout,
        }
    }

    /// Waits before the next try; false, at once, when the deadline would pass.
    pub(crate) async fn pause(&mut self) -> bool {
        let pause = jittered(self.next);
        self.next = (self.next * 2).min(self.max);
        if Instant::now() + pause >= self.deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// `pause` less a random part of up to a fifth.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    pause - pause.mul_f64(f64::from(nanos % 1_000) / 5_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_longest_and_end_with_the_deadline() {
        let mut config = WireConfig::new("b:1");
        config.api_timeout = Duration::from_secs(10);
        let mut backoff = Backoff::new(&config);
        let begin = Instant::now();
        let mut pauses = 0;
        while backoff.pause().await {
            pauses += 1;
        }
        assert!(begin.elapsed() <= config.api_timeout, "{:?}", begin.elapsed());
        // 50 + 100 + … + 800 ms, then about one a second.
        assert!((12..=17).contains(&pauses), "{pauses} pauses");
    }
}
