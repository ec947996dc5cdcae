//! A hard limit on a process' memory: who goes beyond it is killed. By a control group, which root
//! may make; where it may not, the peak that the kernel keeps of each process has to do.

use std::path::PathBuf;

/// A control group with one process in it; removed when dropped, after the process.
pub struct Cap(PathBuf);

impl Cap {
    /// Puts the process under the limit. `None`, and a line that says so, where that is not
    /// allowed.
    pub fn on(pid: u32, mib: u64) -> Option<Self> {
        let bytes = (mib << 20).to_string();
        // Version 1 has a hierarchy for memory, version 2 one for all.
        let kinds = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        for (root, limit) in kinds {
            let group = PathBuf::from(root).join(format!("spanledger-test-{pid}"));
            if std::fs::create_dir(&group).is_err() {
                continue;
            }
            let cap = Self(group);
            // Files would be made on a plain file system.
            if cap.0.join(limit).exists() && std::fs::write(cap.0.join(limit), &bytes).is_ok() {
                std::fs::write(cap.0.join("cgroup.procs"), pid.to_string()).unwrap();
                return Some(cap);
            }
        }
        eprintln!("not capped: no control group can be made here; its peak is looked at instead");
        None
    }
}

impl Drop for Cap {
    fn drop(&mut self) {
        // Busy until the kernel has let go of a process that has just ended.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
