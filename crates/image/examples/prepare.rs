//! Makes images and says how far they are: `cargo run -p pitlane-image --example prepare -- DIR default minimal`.

use std::io::{self, Write as _};

use pitlane_image::{Images, Progress};
use pitlane_model::ImageName;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        return Err("usage: prepare DIR IMAGE...".into());
    };
    let images = Images::new(folder);
    for name in arguments {
        prepare(&images, &ImageName::new(name)?).await?;
    }
    Ok(())
}

async fn prepare(images: &Images, image: &ImageName) -> Result<(), Box<dyn std::error::Error>> {
    let (progress, mut steps) = mpsc::channel::<Progress>(16);
    let printing = async {
        let mut last = String::new();
        while let Some(Progress { step, total, .. }) = steps.recv().await {
            if step != last {
                writeln!(io::stderr(), "{image}: {step} ({total})")?;
                last = step;
            }
        }
        Ok::<(), io::Error>(())
    };
    let (made, printed) = tokio::join!(images.prepare(image, progress), printing);
    printed?;
    let rootfs = made?;
    for layer in &rootfs.layers {
        writeln!(io::stdout(), "{} {} MiB", layer.path().display(), rootfs.size_bytes >> 20)?;
    }
    Ok(())
}
