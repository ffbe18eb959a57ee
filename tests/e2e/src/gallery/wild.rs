//! The hostile driver under any vendor code, and the line that it has for itself.
//!
//! The bench takes [`Wild`] to measure what the neighbours feel while it runs.

use crate::program;
use anyhow::{Context, Result, ensure};
use polymeter_package::{Parts, Sealed};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// What the code in the component reads like before it is written over.
const CODE: &[u8] = b"HOSTILE-000";
/// The line's name in a configuration.
pub const LINE: &str = "wild";

/// Components of the hostile driver in a folder, and a line whose far end swallows everything and
/// answers one byte to each frame.
#[derive(Debug)]
pub struct Wild {
    folder: PathBuf,
    component: Vec<u8>,
    far_end: SocketAddr,
    heard: Heard,
}

/// What came to the far end, of all connections, up to [`HEARD_BYTES_MOST`].
type Heard = Arc<Mutex<Vec<u8>>>;
const HEARD_BYTES_MOST: usize = 1 << 20;

/// The question that the far end answers one byte at a time, so slowly and for so long that a call
/// which waits for all of it ends first.
const DRIBBLE: &[u8] = b"dribble";
const DRIBBLE_PAUSE: Duration = Duration::from_millis(5);
const DRIBBLE_TIME: Duration = Duration::from_secs(6);

impl Wild {
    /// `folder` takes the components.
    pub async fn new(folder: PathBuf) -> Result<Wild> {
        let component = std::fs::read(program::drivers()?.join("hostile.wasm"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let far_end = listener.local_addr()?;
        let heard = Heard::default();
        let ear = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&ear)));
            }
        });
        Ok(Wild { folder, component, far_end, heard })
    }

    /// The far end of its line.
    pub fn far_end(&self) -> SocketAddr {
        self.far_end
    }

    /// What came to the far end since it was made or forgot.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn forget(&self) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The component under `vendor`, which has as many letters as every code here.
    pub fn bytes(&self, vendor: &str) -> Result<Vec<u8>> {
        ensure!(vendor.len() == CODE.len(), "{vendor} has not {} letters", CODE.len());
        let places: Vec<usize> = (0..self.component.len())
            .filter(|at| self.component[*at..].starts_with(CODE))
            .collect();
        let [at] = places[..] else { anyhow::bail!("the code stands in {} places", places.len()) };
        let mut bytes = self.component.clone();
        bytes.splice(at..at + CODE.len(), vendor.bytes());
        Ok(bytes)
    }

    /// A `[[driver]]` of the configuration, its file written.
    pub fn driver(&self, vendor: &str, region: &str, limits: &str) -> Result<String> {
        let name = vendor.to_lowercase();
        let path = self.folder.join(format!("{name}.pmdriver"));
        std::fs::write(&path, package(vendor, &self.bytes(vendor)?, IMPORTS)?)?;
        let mut text = entry(&name, vendor, &path)?;
        if !region.is_empty() {
            text += &format!("region = \"{region}\"\n");
        }
        Ok(text + &format!("[driver.limits]\n{limits}\n"))
    }

    /// The `[[line]]` of the configuration.
    pub fn line(&self) -> String {
        format!(
            "[[line]]\nname = \"{LINE}\"\ntcp = \"{}\"\ninter-frame-ms = 0\nreply-timeout-ms = 100\n\
             byte-timeout-ms = 200\ntotal-timeout-ms = 20000\n",
            self.far_end
        )
    }
}

/// What the hostile driver imports, as its `driver.toml` would say.
pub const IMPORTS: &str = "\"line\", \"vault\", \"log\"";

/// A component in an unsigned package whose `driver.toml` is right: the hostility lies elsewhere.
pub fn package(vendor: &str, component: &[u8], imports: &str) -> Result<Vec<u8>> {
    let manifest = format!(
        "name = \"hostile\"\nversion = \"0.1.0\"\ncontract = \"1.1.0\"\nmodels = [\"any\"]\n\
         imports = [{imports}]\nproof = \"purchase-count\"\npurse = \"money\"\n\
         [[vendor]]\ncode = \"{vendor}\"\nname-en = \"Hostile\"\nname-zh = \"Hostile\"\n"
    );
    let parts = Parts { manifest, component: component.to_vec(), ..Parts::default() };
    Ok(Sealed::pack("hostile.pmdriver", parts)?.to_bytes())
}

/// A `[[driver]]` that is granted everything, signed or not.
pub fn entry(name: &str, vendor: &str, file: &std::path::Path) -> Result<String> {
    let file = file.to_str().context("a path that is text")?;
    Ok(format!(
        "[[driver]]\nname = \"{name}\"\nvendor = \"{vendor}\"\npackage = \"{file}\"\n\
         grant = [\"line\", \"vault\", \"log\"]\nallow-unsigned = true\n"
    ))
}

async fn answer(mut stream: TcpStream, heard: Heard) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let came = buffer.get(..count).unwrap_or_default();
        {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            let room = HEARD_BYTES_MOST.saturating_sub(heard.len());
            heard.extend(came.iter().take(room));
        }
        let until = if came == DRIBBLE { Instant::now() + DRIBBLE_TIME } else { Instant::now() };
        loop {
            if stream.write_all(b"y").await.is_err() {
                return;
            }
            // Whatever comes next ends a dribble.
            if Instant::now() >= until || timeout(DRIBBLE_PAUSE, stream.readable()).await.is_ok() {
                break;
            }
        }
    }
}
