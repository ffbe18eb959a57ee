//! The control port: one JSON object per line asks for one thing, one JSON line answers. Bad input
//! is answered with an error and changes nothing; the connection stays.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use crate::event::{Release, lock};
use crate::fault::Fault;
use crate::world::World;

/// Longest line; a fault with much garbage fits.
const LINE_BYTES_MAX: u64 = 65_536;

/// Serves one control connection until it ends.
pub fn serve(world: &Arc<World>, stream: TcpStream) {
    let Ok(sink) = stream.try_clone() else { return };
    let sink = Arc::new(Mutex::new(sink));
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let answer = answer(world, &line, &sink).unwrap_or_else(|error| json!({ "error": error }));
        if put(&sink, &answer).is_err() || (line.last() != Some(&b'\n')) {
            return;
        }
    }
}

fn put(sink: &Mutex<TcpStream>, value: &Value) -> std::io::Result<()> {
    lock(sink).write_all(format!("{value}\n").as_bytes())
}

fn answer(world: &Arc<World>, line: &[u8], sink: &Arc<Mutex<TcpStream>>) -> Result<Value, String> {
    let asked: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("not a JSON object: {error}"))?;
    let mut entries = asked.iter();
    let (Some((verb, value)), None) = (entries.next(), entries.next()) else {
        return Err("one line asks for exactly one thing".into());
    };
    let text = || value.as_str().ok_or(format!("{verb} wants a meter's name"));
    let told = |error: crate::SimulatorError| error.to_string();
    match verb.as_str() {
        "fault" => queue(world, value)?,
        "clear_faults" => world.clear_faults(text()?).map_err(told)?,
        "press" => world.press(text()?).map_err(told)?,
        "state" => return Ok(json!({ "state": world.state(text()?).map_err(told)? })),
        "states" => return Ok(json!({ "states": world.states() })),
        "held" => return Ok(json!({ "held": world.held() })),
        "release" => world.release(match value {
            Value::Bool(true) => Release::Deliver,
            Value::String(how) if how == "vanish" => Release::Vanish,
            _ => return Err("release wants true or \"vanish\"".into()),
        }),
        "advance" => {
            let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
            world.advance(seconds.ok_or("advance wants whole seconds")?);
        }
        "events" => stream_events(world, sink),
        _ => return Err(format!("{verb} is not known here")),
    }
    Ok(json!({ "ok": true }))
}

fn queue(world: &World, value: &Value) -> Result<(), String> {
    let mut fields = value.as_object().cloned().ok_or("a fault is an object")?;
    let meter = fields.remove("meter").and_then(|meter| meter.as_str().map(str::to_owned));
    let meter = meter.ok_or("a fault wants a meter")?;
    if let Some(unknown) = fields.keys().find(|key| !Fault::KEYS.contains(&key.as_str())) {
        return Err(format!("a fault has no {unknown}"));
    }
    let fault = serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    world.fault(&meter, fault).map_err(|error| error.to_string())
}

/// Events follow as lines among the answers until the connection ends.
fn stream_events(world: &World, sink: &Arc<Mutex<TcpStream>>) {
    let (mut events, sink) = (world.events(), Arc::clone(sink));
    std::thread::spawn(move || {
        while let Some(event) = events.blocking_recv() {
            if put(&sink, &json!(event)).is_err() {
                return;
            }
        }
    });
}
