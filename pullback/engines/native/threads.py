"""Threads that compute the pieces of large loops together with the one that calls a kernel.

They are threads of the C library: they run nothing but machine code, never wait for Python, and
need no care when the interpreter ends. The first loop that is large starts them; between loops they
sleep on a semaphore: none ever turns round waiting. One loop has them at a time; what is called
meanwhile by other threads computes its pieces alone. They end before a `fork`, so that Python does
not warn of it, and both processes start their own when a loop needs them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import cache
from typing import Any

from ...core.settings import values, watchers
from . import machine, objects

SHARE, _ALONE_NAME = "pullback_share", "pullback_alone"
"""Functions `void (ptr function, ptr context, i64 pieces)`, which call `function(context, piece)`
for each piece: SHARE in several threads, in any order; the other in this one."""

_ALONE = f"""
define void @{_ALONE_NAME}(ptr %function, ptr %context, i64 %pieces) nounwind {{
entry:
  br label %loop
loop:
  %piece = phi i64 [ 0, %entry ], [ %next, %loop ]
  call void %function(ptr %context, i64 %piece)
  %next = add nuw nsw i64 %piece, 1
  %more = icmp slt i64 %next, %pieces
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""

_WITHOUT_THREADS = f"""
define void @{SHARE}(ptr %function, ptr %context, i64 %pieces) nounwind {{
  call void @{_ALONE_NAME}(ptr %function, ptr %context, i64 %pieces)
  ret void
}}
define void @pullback_wanted(i64 %threads) nounwind {{
  ret void
}}
define void @pullback_forking() nounwind {{
  ret void
}}
define void @pullback_forked() nounwind {{
  ret void
}}
"""

MOST = 256
"""Threads besides that of the caller."""

# A signal that the machine itself sends (SIGILL 4, SIGABRT 6, SIGBUS 7, SIGFPE 8, SIGSEGV 11) goes
# to the thread it is about; all others are left to the threads of Python.
_BLOCKED = sum(1 << n for n in range(63)) & ~sum(1 << (s - 1) for s in (4, 6, 7, 8, 11))

_POOL = f"""
declare i32 @sem_init(ptr, i32, i32)
declare i32 @sem_wait(ptr)
declare i32 @sem_trywait(ptr)
declare i32 @sem_post(ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)

; How many threads may work on a loop, that of the caller among them.
@wanted = internal global i64 1, align 64
; Whether a loop has the others; how many of them have been started.
@busy = internal global i32 0, align 64
@started = internal global i64 0, align 64
@ids = internal global [{MOST} x i64] zeroinitializer, align 64
; Whether they shall end.
@end = internal global i32 0, align 64
; The loop: what to call, and which piece is next.
@function = internal global ptr null, align 64
@context = internal global ptr null, align 8
@pieces = internal global i64 0, align 8
@next = internal global i64 0, align 64
; How many others it may have, and how many of them have been called, or are about to be.
@others = internal global i64 0, align 8
@called = internal global i64 0, align 64
; Posted once for each thread that shall work, and by each when it has done its part.
@start = internal global [64 x i8] zeroinitializer, align 64
@done = internal global [64 x i8] zeroinitializer, align 64
@blocked = internal constant [16 x i64] [i64 {_BLOCKED}{", i64 0" * 15}], align 64

define void @pullback_wanted(i64 %threads) nounwind {{
  store atomic i64 %threads, ptr @wanted monotonic, align 8
  ret void
}}

; Before a fork: end the others, unless they are computing.
define void @pullback_forking() nounwind {{
entry:
  %taken = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic, align 4
  %mine = extractvalue {{i32, i1}} %taken, 1
  %there = load i64, ptr @started, align 8
  %some = icmp sgt i64 %there, 0
  %first = select i1 %mine, i1 %some, i1 false
  br i1 %first, label %begin, label %none
none:
  br i1 %mine, label %free, label %over
begin:
  store atomic i32 1, ptr @end release, align 4
  br label %tell
tell:
  %i = phi i64 [ 0, %begin ], [ %i1, %tell ]
  %posted = call i32 @sem_post(ptr @start)
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %there
  br i1 %more, label %tell, label %join
join:
  %j = phi i64 [ 0, %tell ], [ %j1, %join ]
  %at = getelementptr i64, ptr @ids, i64 %j
  %id = load i64, ptr %at, align 8
  %joined = call i32 @pthread_join(i64 %id, ptr null)
  %j1 = add i64 %j, 1
  %left = icmp slt i64 %j1, %there
  br i1 %left, label %join, label %ended
ended:
  store i64 0, ptr @started, align 8
  store atomic i32 0, ptr @end release, align 4
  br label %free
free:
  store atomic i32 0, ptr @busy release, align 4
  br label %over
over:
  ret void
}}

; At the beginning, and in the child of a fork: there are no threads but this one.
define void @pullback_forked() nounwind {{
  store i64 0, ptr @started, align 8
  store i32 0, ptr @end, align 4
  %a = call i32 @sem_init(ptr @start, i32 0, i32 0)
  %b = call i32 @sem_init(ptr @done, i32 0, i32 0)
  store atomic i32 0, ptr @busy release, align 4
  ret void
}}

define internal void @wait(ptr %semaphore) nounwind {{
entry:
  br label %again
again:
  %failed = call i32 @sem_wait(ptr %semaphore)
  %interrupted = icmp ne i32 %failed, 0
  br i1 %interrupted, label %again, label %over
over:
  ret void
}}

; Call two more, if there are more to be called, and compute pieces as long as there are some that
; nobody has begun. To call takes a microsecond or two, so whoever wakes helps with that first.
define internal void @work() nounwind {{
entry:
  %others = load i64, ptr @others, align 8
  br label %calling
calling:
  %i = phi i64 [ 0, %entry ], [ %i1, %call ]
  %two = icmp slt i64 %i, 2
  br i1 %two, label %count, label %begin
count:
  %number = atomicrmw add ptr @called, i64 1 acq_rel, align 8
  %missing = icmp slt i64 %number, %others
  br i1 %missing, label %call, label %begin
call:
  %posted = call i32 @sem_post(ptr @start)
  %i1 = add i64 %i, 1
  br label %calling
begin:
  %function = load ptr, ptr @function, align 8
  %context = load ptr, ptr @context, align 8
  %pieces = load i64, ptr @pieces, align 8
  br label %again
again:
  %piece = atomicrmw add ptr @next, i64 1 monotonic, align 8
  %mine = icmp slt i64 %piece, %pieces
  br i1 %mine, label %compute, label %over
compute:
  call void %function(ptr %context, i64 %piece)
  br label %again
over:
  ret void
}}

define internal ptr @worker(ptr %nothing) nounwind {{
entry:
  br label %again
again:
  call void @wait(ptr @start)
  %end = load atomic i32, ptr @end acquire, align 4
  %over = icmp ne i32 %end, 0
  br i1 %over, label %return, label %begin
begin:
  call void @work()
  %posted = call i32 @sem_post(ptr @done)
  br label %again
return:
  ret ptr null
}}

; How many of `count` threads there are, after starting what is missing.
define internal i64 @ready(i64 %count) nounwind {{
entry:
  %thread = alloca i64, align 8
  %before = alloca [16 x i64], align 64
  br label %check
check:
  %there = load i64, ptr @started, align 8
  %missing = icmp slt i64 %there, %count
  br i1 %missing, label %create, label %enough
create:
  %set = call i32 @pthread_sigmask(i32 2, ptr @blocked, ptr %before)
  %failed = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr null)
  %back = call i32 @pthread_sigmask(i32 2, ptr %before, ptr null)
  %refused = icmp ne i32 %failed, 0
  br i1 %refused, label %fewer, label %created
created:
  %id = load i64, ptr %thread, align 8
  %at = getelementptr i64, ptr @ids, i64 %there
  store i64 %id, ptr %at, align 8
  %more = add i64 %there, 1
  store i64 %more, ptr @started, align 8
  br label %check
enough:
  ret i64 %count
fewer:
  ret i64 %there
}}

define void @{SHARE}(ptr %function, ptr %context, i64 %pieces) nounwind {{
entry:
  %wanted = load atomic i64, ptr @wanted monotonic, align 8
  %several = icmp sgt i64 %wanted, 1
  br i1 %several, label %try, label %alone
try:
  %taken = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic, align 4
  %mine = extractvalue {{i32, i1}} %taken, 1
  br i1 %mine, label %together, label %alone
alone:
  call void @{_ALONE_NAME}(ptr %function, ptr %context, i64 %pieces)
  ret void
together:
  %fewer = icmp slt i64 %pieces, %wanted
  %useful = select i1 %fewer, i64 %pieces, i64 %wanted
  %one_less = sub i64 %useful, 1
  %room = icmp slt i64 %one_less, {MOST}
  %others = select i1 %room, i64 %one_less, i64 {MOST}
  %count = call i64 @ready(i64 %others)
  store ptr %function, ptr @function, align 8
  store ptr %context, ptr @context, align 8
  store i64 %pieces, ptr @pieces, align 8
  store i64 0, ptr @next, align 8
  store i64 %count, ptr @others, align 8
  store i64 0, ptr @called, align 8
  call void @work()
  ; From here on no more are called.
  %calls = atomicrmw xchg ptr @called, i64 {1 << 62} acq_rel, align 8
  %all = icmp sgt i64 %calls, %count
  %woken = select i1 %all, i64 %count, i64 %calls
  br label %ending
; A thread that has not woken by now is not needed any more, nor waited for.
ending:
  %left = phi i64 [ %woken, %together ], [ %left1, %called_off ]
  %any = icmp sgt i64 %left, 0
  br i1 %any, label %call_off, label %free
call_off:
  %failed = call i32 @sem_trywait(ptr @start)
  %awake = icmp ne i32 %failed, 0
  br i1 %awake, label %waiting, label %called_off
called_off:
  %left1 = sub i64 %left, 1
  br label %ending
waiting:
  %j = phi i64 [ %left, %call_off ], [ %j1, %waiting ]
  call void @wait(ptr @done)
  %j1 = sub i64 %j, 1
  %others_left = icmp sgt i64 %j1, 0
  br i1 %others_left, label %waiting, label %free
free:
  store atomic i32 0, ptr @busy release, align 4
  ret void
}}
"""

_CALLS = (
    "sem_init",
    "sem_wait",
    "sem_trywait",
    "sem_post",
    "pthread_create",
    "pthread_join",
    "pthread_sigmask",
)


def available() -> bool:
    """Whether this system has what the threads need: Linux on x86-64 or ARM, for which the sizes
    of the C library's structures are known."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return False
    library = ctypes.CDLL(None)
    return sys.maxsize > 1 << 32 and all(hasattr(library, name) for name in _CALLS)


@cache
def _loaded() -> machine.Loaded:
    """The functions, which stay for the life of the process."""
    text = _ALONE + (_POOL if available() else _WITHOUT_THREADS)
    exports = [SHARE, "pullback_wanted", "pullback_forking", "pullback_forked"]
    loaded = objects.loaded(text, {}, exports)
    forking, forked = (
        ctypes.PYFUNCTYPE(None)(loaded.addresses[f"pullback_{name}"])
        for name in ("forking", "forked")
    )
    forked()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=forking, after_in_child=forked)
    _set(loaded, values.pullback_threads)
    return loaded


def address(name: str) -> int:
    """Where SHARE is."""
    return _loaded().addresses[name]


def _set(loaded: machine.Loaded, threads: int) -> None:
    ctypes.CFUNCTYPE(None, ctypes.c_int64)(loaded.addresses["pullback_wanted"])(threads)


def _changed(name: str, value: Any) -> None:
    if name == "pullback_threads" and _loaded.cache_info().currsize:
        _set(_loaded(), value)


watchers.append(_changed)

__all__ = ["SHARE", "address", "available"]
