//! The far end of the simulated line: hears requests, asks the seed what becomes of each, answers.

use super::world::{Fate, World};
use meter_sim::FaultKind;
use polymeter_transport::{Channel, Opener};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Each time that the line is opened, a new connection to the same meters.
pub fn far_end(world: &Arc<World>) -> Opener {
    let world = Arc::clone(world);
    Opener::new(move || {
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(serve(Arc::clone(&world), far));
        let near: Box<dyn Channel> = Box::new(near);
        Ok(near)
    })
}

async fn serve(world: Arc<World>, mut far: DuplexStream) {
    let mut buffer = [0; 1024];
    loop {
        let Ok(length @ 1..) = far.read(&mut buffer).await else { return };
        let bytes = buffer.get(..length).unwrap_or_default();
        let requests = world.offline.lock().unwrap_or_else(PoisonError::into_inner).hear(bytes);
        for request in requests {
            if !exchange(&world, &mut far, &request).await {
                return;
            }
        }
    }
}

/// False where the connection is over.
async fn exchange(world: &World, far: &mut DuplexStream, request: &[u8]) -> bool {
    if world.is_dead() {
        return false;
    }
    let kind = world.offline.lock().unwrap_or_else(PoisonError::into_inner).notice(request);
    let fate = world.fate(kind);
    let is_done = match fate {
        Fate::Unheard | Fate::Refused(_) | Fate::Swapped => false,
        Fate::Cut { is_done } | Fate::Death { is_done, .. } => is_done,
        Fate::Good | Fate::Unanswered | Fate::Spoilt(_) => true,
    };
    let mut reply = Vec::new();
    if is_done {
        let mut offline = world.offline.lock().unwrap_or_else(PoisonError::into_inner);
        reply = offline.answer(request).unwrap_or_default();
        if let Fate::Spoilt(fault) = &fate {
            offline.spoil(&mut reply, fault);
        }
    }
    match fate {
        Fate::Unheard | Fate::Unanswered => return true,
        Fate::Swapped => {
            world.swap();
            return true;
        }
        Fate::Refused(word) => {
            let offline = world.offline.lock().unwrap_or_else(PoisonError::into_inner);
            reply = offline.refuse(request, word).unwrap_or_default();
        }
        Fate::Cut { .. } => return false,
        Fate::Death { bytes, .. } => {
            reply.truncate(bytes);
            // What had come of it changes nothing for a process that is dead.
            let _ = far.write_all(&reply).await;
            world.die();
            return std::future::pending().await;
        }
        // Nobody waits that long.
        Fate::Spoilt(FaultKind::Late { wait_ms }) => {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        Fate::Spoilt(_) | Fate::Good => {}
    }
    reply.is_empty() || far.write_all(&reply).await.is_ok()
}
