//! `/proc/PID/status`: the fields that `stat` lacks.

use crate::proc::stat::number;

/// The fields that are used; a kernel before 4.1 has no `NSpid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Thread group: the pid of the process, also when a thread was asked for.
    pub(crate) group: Option<u32>,
    /// Effective user id.
    pub(crate) effective_uid: Option<u32>,
    /// The pid in the innermost pid namespace.
    pub(crate) inner_pid: Option<u32>,
    /// Voluntary context switches of this thread.
    pub(crate) voluntary: u64,
    /// Involuntary context switches of this thread.
    pub(crate) involuntary: u64,
}

impl Status {
    /// Reads the text. The name stands first and has its new lines escaped, so no other line can be forged by it.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        for line in text.split(|&b| b == b'\n') {
            let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let mut values = value
                .get(1..)
                .unwrap_or_default()
                .split(|b| b.is_ascii_whitespace())
                .filter(|v| !v.is_empty());
            match name {
                b"Tgid" => status.group = values.next().and_then(small),
                b"Uid" => status.effective_uid = values.nth(1).and_then(small),
                b"NSpid" => status.inner_pid = values.next_back().and_then(small),
                b"voluntary_ctxt_switches" => {
                    status.voluntary = values.next().and_then(number).unwrap_or_default()
                }
                b"nonvoluntary_ctxt_switches" => {
                    status.involuntary = values.next().and_then(number).unwrap_or_default()
                }
                _other => {}
            }
        }
        status
    }
}

fn small(field: &[u8]) -> Option<u32> {
    number(field).and_then(|value| u32::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_cannot_forge_a_line() {
        let text = b"Name:\ta\\nUid:\t0\\nTgid: 1\nUmask:\t0022\nTgid:\t812\nUid:\t1000\t1001\t1002\t1003\n\
            NSpid:\t812\t40\t7\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t900\n";
        let want = Status {
            group: Some(812),
            effective_uid: Some(1001),
            inner_pid: Some(7),
            voluntary: 5,
            involuntary: 900,
        };
        assert_eq!(Status::parse(text), want);
    }

    #[test]
    fn an_old_kernel_or_a_cut_text_leaves_fields_open() {
        assert_eq!(Status::parse(b"Tgid:\t1\nUid:\t0\n").effective_uid, None);
        assert_eq!(Status::parse(b""), Status::default());
        assert_eq!(Status::parse(b"Uid:\t0\tx\nNSpid:\n"), Status::default());
    }
}
