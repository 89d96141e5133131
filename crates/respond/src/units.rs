//! Asks the service manager to stop, start and reload units.
//!
//! Speaks D-Bus itself, to the manager's own socket where that is (it needs no bus, which may be what the intruder
//! broke), else over the system bus. Starts no process: `systemctl` may be the intruder's. Every answer is bounded in
//! size and time. Does not decide which units; touches no file of a unit.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::target::NotDone;

/// A connection to the service manager.
pub(crate) struct Manager {
    stream: UnixStream,
    serial: u32,
    /// Jobs that ended, and how.
    ended: Vec<(String, String)>,
}

/// What came back.
struct Message {
    kind: u8,
    reply_to: u32,
    member: String,
    error: String,
    body: Vec<u8>,
}

impl Manager {
    /// Connects; none when no service manager runs here.
    pub(crate) fn connect() -> Result<Option<Self>, NotDone> {
        Self::connect_to(Path::new("/run/systemd/private"), Path::new("/run/dbus/system_bus_socket"))
    }

    fn connect_to(own: &Path, bus: &Path) -> Result<Option<Self>, NotDone> {
        if let Some(manager) = Self::greet(own).map_err(|failed| odd(&failed))? {
            return Ok(Some(manager));
        }
        let Some(mut manager) = Self::greet(bus).map_err(|failed| odd(&failed))? else { return Ok(None) };
        manager.bus("Hello", &[])?;
        let (is_there, _) = manager.bus("NameHasOwner", &[MANAGER])?;
        if is_there.first() != Some(&1) {
            return Ok(None);
        }
        manager.bus("AddMatch", &["type='signal',sender='org.freedesktop.systemd1',member='JobRemoved'"])?;
        Ok(Some(manager))
    }

    /// Says who we are; none when nobody listens.
    fn greet(path: &Path) -> io::Result<Option<Self>> {
        let mut stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(none)
                if matches!(none.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            Err(failed) => return Err(failed),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let uid = rustix::process::geteuid().as_raw().to_string();
        stream.write_all(
            format!("\0AUTH EXTERNAL {}\r\nBEGIN\r\n", crate::disk::hex(uid.as_bytes())).as_bytes(),
        )?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 256 {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            line.extend_from_slice(&byte);
        }
        if !line.starts_with(b"OK ") {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it does not accept us"));
        }
        Ok(Some(Self { stream, serial: 0, ended: Vec::new() }))
    }

    /// Whether a unit runs or is about to.
    pub(crate) fn is_active(&mut self, unit: &str) -> Result<bool, NotDone> {
        let (body, error) = self.ask(ROOT_OBJECT, "org.freedesktop.systemd1.Manager", "GetUnit", &[unit])?;
        if error.ends_with("NoSuchUnit") {
            return Ok(false);
        }
        let object =
            answered(&error, "GetUnit", unit).and_then(|()| string(&body, 0).ok_or_else(cut_short))?;
        let of = ["org.freedesktop.systemd1.Unit", "ActiveState"];
        let (body, error) = self.ask(&object, "org.freedesktop.DBus.Properties", "Get", &of)?;
        answered(&error, "ActiveState", unit)?;
        // A variant: length of its signature, "s", NUL, then the string at the next multiple of four.
        let state = string(&body, 4).ok_or_else(cut_short)?;
        Ok(matches!(state.as_str(), "active" | "activating" | "reloading" | "refreshing"))
    }

    /// Stops a unit, and waits until it has stopped.
    pub(crate) fn stop(&mut self, unit: &str) -> Result<(), NotDone> {
        self.job("StopUnit", unit)
    }

    /// Starts a unit as its files are now, and waits until it runs.
    pub(crate) fn start(&mut self, unit: &str) -> Result<(), NotDone> {
        self.reload()?;
        self.job("StartUnit", unit)
    }

    /// Has it read its files again.
    pub(crate) fn reload(&mut self) -> Result<(), NotDone> {
        let (_, error) = self.ask(ROOT_OBJECT, "org.freedesktop.systemd1.Manager", "Reload", &[])?;
        answered(&error, "Reload", "all units")
    }

    fn job(&mut self, what: &str, unit: &str) -> Result<(), NotDone> {
        const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
        let (_, error) = self.ask(ROOT_OBJECT, INTERFACE, "Subscribe", &[])?;
        if !error.is_empty() && !error.ends_with("AlreadySubscribed") {
            answered(&error, "Subscribe", unit)?;
        }
        let (body, error) = self.ask(ROOT_OBJECT, INTERFACE, what, &[unit, "replace"])?;
        answered(&error, what, unit)?;
        let job = string(&body, 0).ok_or_else(cut_short)?;
        for _ in 0..MESSAGES_LIMIT {
            if let Some((_, how)) = self.ended.iter().find(|(ended, _)| *ended == job) {
                let why = || NotDone::Refused(format!("{what} of {unit} ended as {how:?}"));
                return if how == "done" { Ok(()) } else { Err(why()) };
            }
            let message = self.read().map_err(|failed| odd(&failed))?;
            self.remember(&message);
        }
        Err(NotDone::Refused(format!("the service manager does not tell how {what} of {unit} ended")))
    }

    fn bus(&mut self, member: &str, words: &[&str]) -> Result<(Vec<u8>, String), NotDone> {
        let call = Call {
            to: "org.freedesktop.DBus",
            object: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
        };
        let (body, error) = self.call(&call, member, words).map_err(|failed| odd(&failed))?;
        answered(&error, member, "the bus").map(|()| (body, error))
    }

    fn ask(
        &mut self,
        object: &str,
        interface: &str,
        member: &str,
        words: &[&str],
    ) -> Result<(Vec<u8>, String), NotDone> {
        let call = Call { to: MANAGER, object, interface };
        self.call(&call, member, words).map_err(|failed| odd(&failed))
    }

    /// Calls a method with strings; what it answered, and the name of its error if it made one.
    fn call(&mut self, to: &Call<'_>, member: &str, words: &[&str]) -> io::Result<(Vec<u8>, String)> {
        self.serial += 1;
        self.stream.write_all(&to.message(self.serial, member, words)?)?;
        for _ in 0..MESSAGES_LIMIT {
            let message = self.read()?;
            self.remember(&message);
            if message.reply_to == self.serial && (message.kind == RETURN || message.kind == ERROR) {
                return Ok((message.body, message.error));
            }
        }
        Err(io::Error::other("it talks, and does not answer"))
    }

    fn remember(&mut self, message: &Message) {
        if message.kind != SIGNAL || message.member != "JobRemoved" || self.ended.len() >= MESSAGES_LIMIT {
            return;
        }
        // u id, o job, s unit, s result.
        let told = string_end(&message.body, 4).and_then(|(job, end)| {
            let (_, end) = string_end(&message.body, end.next_multiple_of(4))?;
            Some((job, string(&message.body, end.next_multiple_of(4))?))
        });
        self.ended.extend(told);
    }

    fn read(&mut self) -> io::Result<Message> {
        let mut head = [0; 16];
        self.stream.read_exact(&mut head)?;
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "what it says is no D-Bus message");
        let number = |at| number(&head, at).and_then(|value| usize::try_from(value).ok());
        let (body, fields) = number(4).zip(number(12)).ok_or_else(broken)?;
        if head.first() != Some(&b'l') || body > MESSAGE_LIMIT_BYTES || fields > MESSAGE_LIMIT_BYTES {
            return Err(broken());
        }
        let mut rest = vec![0; fields.next_multiple_of(8)];
        self.stream.read_exact(&mut rest)?;
        rest.truncate(fields);
        let kind = head.get(1).copied().ok_or_else(broken)?;
        let mut message =
            Message { kind, reply_to: 0, member: String::new(), error: String::new(), body: vec![0; body] };
        self.stream.read_exact(&mut message.body)?;
        message.heed(&rest).ok_or_else(broken)?;
        Ok(message)
    }
}

impl Message {
    /// Reads the header fields: a code, the signature of its value, the value; each begins at a multiple of eight.
    fn heed(&mut self, fields: &[u8]) -> Option<()> {
        let mut at = 0;
        while at < fields.len() {
            let code = *fields.get(at)?;
            at = match *fields.get(at + 2)? {
                b'u' => {
                    if code == 5 {
                        self.reply_to = number(fields, at + 4)?;
                    }
                    at + 8
                }
                b'g' => at + 4 + usize::from(*fields.get(at + 4)?) + 2,
                _ => {
                    let (text, end) = string_end(fields, at + 4)?;
                    match code {
                        3 => self.member = text,
                        4 => self.error = text,
                        _ => {}
                    }
                    end
                }
            }
            .next_multiple_of(8);
        }
        Some(())
    }
}

/// Whom a call goes to.
struct Call<'a> {
    to: &'a str,
    object: &'a str,
    interface: &'a str,
}

impl Call<'_> {
    fn message(&self, serial: u32, member: &str, words: &[&str]) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        for word in words {
            put_string(&mut body, word)?;
        }
        let mut fields = Vec::new();
        let texts =
            [(1, b'o', self.object), (2, b's', self.interface), (3, b's', member), (6, b's', self.to)];
        for (code, kind, text) in texts {
            pad(&mut fields, 8);
            fields.extend_from_slice(&[code, 1, kind, 0]);
            put_string(&mut fields, text)?;
        }
        if !words.is_empty() {
            pad(&mut fields, 8);
            fields.extend_from_slice(&[8, 1, b'g', 0, u8::try_from(words.len()).map_err(io::Error::other)?]);
            fields.extend(words.iter().map(|_| b's'));
            fields.push(0);
        }
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let mut message = vec![b'l', 1, 0, 1];
        message.extend_from_slice(&size(&body)?.to_le_bytes());
        message.extend_from_slice(&serial.to_le_bytes());
        message.extend_from_slice(&size(&fields)?.to_le_bytes());
        message.extend_from_slice(&fields);
        pad(&mut message, 8);
        message.extend_from_slice(&body);
        Ok(message)
    }
}

fn put_string(into: &mut Vec<u8>, text: &str) -> io::Result<()> {
    pad(into, 4);
    into.extend_from_slice(&u32::try_from(text.len()).map_err(io::Error::other)?.to_le_bytes());
    into.extend_from_slice(text.as_bytes());
    into.push(0);
    Ok(())
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*four))
}

fn string(bytes: &[u8], at: usize) -> Option<String> {
    string_end(bytes, at).map(|(text, _)| text)
}

/// A string and where it ends, its NUL included.
fn string_end(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let length = usize::try_from(number(bytes, at)?).ok()?;
    let end = at.checked_add(4)?.checked_add(length)?;
    let text = std::str::from_utf8(bytes.get(at + 4..end)?).ok()?;
    Some((text.to_owned(), end + 1))
}

fn answered(error: &str, what: &str, unit: &str) -> Result<(), NotDone> {
    if error.is_empty() {
        return Ok(());
    }
    Err(NotDone::Refused(format!("the service manager refuses {what} of {unit}: {error}")))
}

fn odd(failed: &io::Error) -> NotDone {
    NotDone::Refused(format!("cannot talk to the service manager: {failed}"))
}

fn cut_short() -> NotDone {
    NotDone::Refused("the service manager answers less than it should".to_owned())
}

const MANAGER: &str = "org.freedesktop.systemd1";
const ROOT_OBJECT: &str = "/org/freedesktop/systemd1";
const RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;
/// A unit may take its whole stop timeout, which is 90 s unless its file says otherwise.
const PATIENCE: Duration = Duration::from_secs(100);
/// Messages that are read while one answer is waited for.
const MESSAGES_LIMIT: usize = 4096;
/// Answers that are asked for have some hundred bytes.
const MESSAGE_LIMIT_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::BufRead,
        process::{Command, Stdio},
    };

    #[test]
    fn where_nobody_listens_there_is_no_service_manager() {
        let folder = tempfile::tempdir().unwrap();
        let (own, bus) = (folder.path().join("private"), folder.path().join("bus"));
        assert!(Manager::connect_to(&own, &bus).unwrap().is_none());
    }

    #[test]
    fn a_real_bus_is_spoken_to_and_one_without_a_service_manager_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let bus = folder.path().join("bus");
        let address = format!("--address=unix:path={}", bus.display());
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1", &address])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        io::BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut manager = Manager::greet(&bus).unwrap().unwrap();
        let (name, _) = manager.bus("Hello", &[]).unwrap();
        let (owner, _) = manager.bus("GetNameOwner", &["org.freedesktop.DBus"]).unwrap();
        let refused = manager.bus("GetNameOwner", &["no.such.name"]);
        let absent = Manager::connect_to(&folder.path().join("none"), &bus).unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        assert!(string(&name, 0).unwrap().starts_with(":1."));
        assert_eq!(string(&owner, 0).unwrap(), "org.freedesktop.DBus");
        let Err(NotDone::Refused(why)) = refused else { panic!("it was answered") };
        assert!(why.contains("NameHasNoOwner"), "{why}");
        assert!(absent.is_none());
    }

    #[test]
    fn a_job_that_ended_is_remembered_and_damaged_words_are_not() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut manager = Manager { stream: ours, serial: 0, ended: Vec::new() };
        let mut body = 7u32.to_le_bytes().to_vec();
        for text in ["/org/freedesktop/systemd1/job/7", "a.service", "done"] {
            put_string(&mut body, text).unwrap();
        }
        let told = |body: &[u8]| Message {
            kind: SIGNAL,
            reply_to: 0,
            member: "JobRemoved".to_owned(),
            error: String::new(),
            body: body.to_vec(),
        };
        for end in 0..body.len() - 1 {
            manager.remember(&told(body.get(..end).unwrap()));
        }
        assert!(manager.ended.is_empty());
        manager.remember(&told(&body));
        assert_eq!(manager.ended, [("/org/freedesktop/systemd1/job/7".to_owned(), "done".to_owned())]);
    }
}
