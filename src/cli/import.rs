//! `rotunda import`.

use std::{
    io::{IsTerminal, stderr},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};

use super::{Failure, Settings};
use crate::{
    import::{Importer, Progress, find},
    server,
};

const DRAW_EVERY: Duration = Duration::from_millis(250);
const PRINT_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub struct Arguments {
    /// Files or folders; folders are searched through
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// End with the first resource that is rejected
    #[arg(long)]
    stop_on_error: bool,
    #[command(flatten)]
    settings: Settings,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = arguments.settings.begin()?;
    let inputs = find(&arguments.paths)?;
    if inputs.is_empty() {
        return Err(Failure(
            "no .json, .ndjson or .jsonl file found there (also with .gz or .zst)".to_owned(),
        ));
    }
    let (store, engine) = server::open(&config, server::Purpose::Import).await?;
    let progress = Arc::new(Progress::default());
    let importer = Importer {
        engine,
        store: Arc::clone(&store),
        bounds: config.limits.bundle_bounds(),
        stop_on_error: arguments.stop_on_error,
        progress: Arc::clone(&progress),
    };
    let began = Instant::now();
    let display = Arc::new(Display::new());
    let drawing = tokio::spawn({
        let (display, progress) = (Arc::clone(&display), Arc::clone(&progress));
        async move { display.follow(&progress, began).await }
    });
    let stopping = tokio::spawn({
        let progress = Arc::clone(&progress);
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                progress.stop.store(true, Ordering::Relaxed);
            }
        }
    });
    let result = importer
        .run(&inputs, |rejection| {
            display.bar.suspend(|| eprintln!("{rejection}"));
        })
        .await;
    drawing.abort();
    stopping.abort();
    display.bar.finish_and_clear();
    drop(importer);
    let optimized = match &result {
        Ok(()) => store.optimize().await,
        Err(_) => Ok(()),
    };
    server::close(store).await;
    eprintln!("{}", summary(&progress, inputs.len(), began.elapsed()));
    result?;
    optimized?;
    let rejected = progress.rejected.load(Ordering::Relaxed);
    let stopped = progress.stop.load(Ordering::Relaxed);
    if stopped {
        eprintln!("stopped early; run the same command again to go on");
    }
    Ok(if rejected > 0 || stopped {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn summary(progress: &Progress, files: usize, elapsed: Duration) -> String {
    let accepted = progress.accepted.load(Ordering::Relaxed);
    let mut text = format!(
        "{accepted} resources of {files} files in {:.1} s ({:.0}/s)",
        elapsed.as_secs_f64(),
        rate(accepted, elapsed)
    );
    let rejected = progress.rejected.load(Ordering::Relaxed);
    if rejected > 0 {
        text.push_str(&format!("; {rejected} rejected"));
    }
    let skipped = progress.skipped.load(Ordering::Relaxed);
    if skipped > 0 {
        text.push_str(&format!("; {skipped} files were imported before"));
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(0.001)
}

/// A bar on a terminal, a line now and then elsewhere.
struct Display {
    bar: ProgressBar,
    terminal: bool,
}

impl Display {
    fn new() -> Self {
        let terminal = stderr().is_terminal();
        let bar = if terminal {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left")
        {
            bar.set_style(style);
        }
        Self { bar, terminal }
    }

    async fn follow(&self, progress: &Progress, began: Instant) {
        let every = if self.terminal {
            DRAW_EVERY
        } else {
            PRINT_EVERY
        };
        loop {
            tokio::time::sleep(every).await;
            let accepted = progress.accepted.load(Ordering::Relaxed);
            let total = progress.total.load(Ordering::Relaxed);
            let read = progress.read.load(Ordering::Relaxed);
            let resources = format!(
                "{accepted} resources, {:.0}/s",
                rate(accepted, began.elapsed())
            );
            if self.terminal {
                self.bar.set_length(total);
                self.bar.set_position(read.min(total));
                self.bar.set_message(resources);
            } else {
                let left = rate(total.saturating_sub(read), Duration::from_secs(1))
                    / rate(read, began.elapsed()).max(1.0);
                eprintln!(
                    "{} of {}: {resources}, about {} left",
                    HumanBytes(read),
                    HumanBytes(total),
                    HumanDuration(Duration::from_secs_f64(left))
                );
            }
        }
    }
}
