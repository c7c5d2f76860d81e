"""The numbers of the system calls that a confined process is denied, on the architectures that are known.

Source: Linux 6.1, ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``.
"""

from __future__ import annotations

from collections.abc import Mapping

ARCHITECTURES: Mapping[str, tuple[int, int]] = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""``platform.machine()`` -> its column below, and its ``AUDIT_ARCH`` value."""
NEWEST = 450
"""The highest number that was known when this table was made; numbers are the same on all from 424 on."""

DENIED: Mapping[str, str] = {
    "network": "socket:41:198 connect:42:203 bind:49:200 listen:50:201 accept:43:202 accept4:288:242"
    " socketpair:53:199 sendmsg:46:211 recvmsg:47:212 sendmmsg:307:269 recvmmsg:299:243",
    "processes": "fork:57: vfork:58: execve:59:221 execveat:322:281 unshare:272:97 setns:308:268"
    " setsid:112:157 setpgid:109:154",
    "other processes": "ptrace:101:117 process_vm_readv:310:270 process_vm_writev:311:271"
    " process_madvise:440:440 process_mrelease:448:448 pidfd_open:434:434 pidfd_getfd:438:438"
    " pidfd_send_signal:424:424 kcmp:312:272 tkill:200:130 rt_sigqueueinfo:129:138"
    " rt_tgsigqueueinfo:297:240 setpriority:141:140 ioprio_set:251:30 sched_setscheduler:144:119"
    " sched_setparam:142:118 sched_setattr:314:274 migrate_pages:256:238 move_pages:279:239",
    "shared objects": "shmget:29:194 shmat:30:196 shmctl:31:195 msgget:68:186 msgsnd:69:189 msgrcv:70:188"
    " msgctl:71:187 semget:64:190 semop:65:193 semtimedop:220:192 semctl:66:191 mq_open:240:180"
    " mq_unlink:241:181 mq_notify:244:184 memfd_create:319:279 memfd_secret:447:447",
    "files that it cannot open": "chmod:90: fchmod:91:52 fchmodat:268:53 chown:92: fchown:93:55 lchown:94:"
    " fchownat:260:54 utime:132: utimes:235: futimesat:261: utimensat:280:88 setxattr:188:5 lsetxattr:189:6"
    " fsetxattr:190:7 removexattr:197:14 lremovexattr:198:15 fremovexattr:199:16 flock:73:32"
    " inotify_init:253: inotify_init1:294:26 inotify_add_watch:254:27",
    "kernel surface": "io_uring_setup:425:425 io_uring_enter:426:426 io_uring_register:427:427 keyctl:250:219"
    " add_key:248:217 request_key:249:218 bpf:321:280 perf_event_open:298:241 userfaultfd:323:282"
    " init_module:175:105 finit_module:313:273 delete_module:176:106 kexec_load:246:104"
    " kexec_file_load:320:294 personality:135:92 syslog:103:116 modify_ldt:154: iopl:172: ioperm:173:"
    " lookup_dcookie:212:18 fanotify_init:300:262 fanotify_mark:301:263 quotactl:179:60"
    " quotactl_fd:443:443 acct:163:89 vhangup:153:58 reboot:169:142 swapon:167:224 swapoff:168:225",
    "file systems": "mount:165:40 umount2:166:39 pivot_root:155:41 chroot:161:51 move_mount:429:429"
    " open_tree:428:428 fsopen:430:430 fsconfig:431:431 fsmount:432:432 fspick:433:433"
    " mount_setattr:442:442 name_to_handle_at:303:264 open_by_handle_at:304:265 mknod:133: mknodat:259:33",
    "the clock and the machine": "settimeofday:164:170 clock_settime:227:112 adjtimex:159:171"
    " clock_adjtime:305:266 sethostname:170:161 setdomainname:171:162",
    "identity": "setuid:105:146 setgid:106:144 setreuid:113:145 setregid:114:143 setresuid:117:147"
    " setresgid:119:149 setgroups:116:159 setfsuid:122:151 setfsgid:123:152",
}
"""What is always refused, by what it would reach: ``name:x86_64:aarch64``, empty where there is none."""

CLONE = (56, 220)
CLONE3 = (435, 435)
KILL = (62, 129)
TGKILL = (234, 131)
PRLIMIT64 = (302, 261)
SCHED_SETAFFINITY = (203, 122)
PRCTL = (157, 167)
IOCTL = (16, 29)
FCNTL = (72, 25)
SENDTO = (44, 206)
MMAP = (9, 222)


def denied(column: int) -> tuple[int, ...]:
    """Return the numbers that are always refused on the architecture of this column."""
    entries = (entry.split(":")[1 + column] for names in DENIED.values() for entry in names.split())
    return tuple(int(number) for number in entries if number)
