//! `SpinWait`: read from a socket, awake for a short while before asleep.

use std::io::{self, ErrorKind};
use std::mem::take;
use std::os::fd::{BorrowedFd, RawFd};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use celery_core::Spin;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{recv, send, RecvFlags, SendFlags};

/// Read in one go, unless the caller says otherwise.
const CHUNK: usize = 1 << 16;

/// Waits for what the peer of a connection sends.
#[pyclass(module = "celery_rs._core")]
pub struct SpinWait {
    limit: Duration,
    spin: Spin,
    /// What was read last; its memory is used again.
    buffer: Vec<u8>,
}

#[pymethods]
impl SpinWait {
    #[new]
    #[pyo3(signature = (limit = 100e-6))]
    fn new(limit: f64) -> PyResult<Self> {
        let limit = Duration::try_from_secs_f64(limit)
            .map_err(|_| PyValueError::new_err(format!("limit must be seconds, 0 or more, got {limit}")))?;
        Ok(Self {
            limit,
            spin: Spin::default(),
            buffer: Vec::new(),
        })
    }

    /// Whether the next wait begins awake.
    #[getter]
    fn is_awake(&self) -> bool {
        !self.limit.is_zero() && self.spin.is_awake()
    }

    /// What has come, at most `size` bytes; empty at the end of the connection.
    #[pyo3(signature = (fd, size = CHUNK, /))]
    fn recv<'py>(&mut self, py: Python<'py>, fd: RawFd, size: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.exchange(py, fd, &[], size)
    }

    /// Write all of `data`, then `recv`.
    #[pyo3(signature = (fd, data, size = CHUNK, /))]
    fn exchange<'py>(&mut self, py: Python<'py>, fd: RawFd, data: &[u8], size: usize) -> PyResult<Bound<'py, PyBytes>> {
        let fd = borrowed(fd)?;
        let mut buffer = take(&mut self.buffer);
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        let mut rest = data;
        let mut first = true;
        let outcome = loop {
            let awake = first && self.begin();
            let (written, read) = py.detach(|| {
                let mut written = 0;
                let room = buffer.get_mut(..size).unwrap_or_default();
                let read = write(fd, rest, &mut written).and_then(|()| self.read(fd, room, awake));
                (written, read)
            });
            rest = rest.get(written..).unwrap_or_default();
            first = false;
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => py.check_signals()?,
                other => break other,
            }
        };
        self.buffer = buffer;
        Ok(PyBytes::new(py, self.buffer.get(..outcome?).unwrap_or_default()))
    }

    /// Look at these for as long as it is worth it; whether one of them has something to be read, or has ended.
    #[pyo3(signature = (*fds))]
    fn readable(&mut self, py: Python<'_>, fds: Vec<RawFd>) -> PyResult<bool> {
        let fds = fds.into_iter().map(borrowed).collect::<PyResult<Vec<_>>>()?;
        let awake = self.begin();
        let found = py.detach(|| self.look(awake, || any_readable(&fds)));
        match found {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            other => Ok(other?.is_some()),
        }
    }
}

impl SpinWait {
    fn begin(&mut self) -> bool {
        !self.limit.is_zero() && self.spin.begin()
    }

    /// Awake first, then as the socket waits.
    fn read(&mut self, fd: BorrowedFd<'_>, buffer: &mut [u8], awake: bool) -> io::Result<usize> {
        if awake {
            if let Some(length) = self.look(true, || come(recv(fd, &mut *buffer, RecvFlags::DONTWAIT)))? {
                return Ok(length);
            }
        }
        Ok(recv(fd, &mut *buffer, RecvFlags::empty())?.0)
    }

    /// What `find` finds at the first look, or where `awake` at one before the limit.
    ///
    /// Between two looks the core is offered to others: most likely to who is to send what we wait for.
    fn look<T>(&mut self, awake: bool, mut find: impl FnMut() -> io::Result<Option<T>>) -> io::Result<Option<T>> {
        let mut found = find()?;
        if !awake {
            return Ok(found);
        }
        let began = Instant::now();
        while found.is_none() && began.elapsed() < self.limit {
            yield_now();
            found = find()?;
        }
        self.spin.end(found.is_some());
        Ok(found)
    }
}

fn write(fd: BorrowedFd<'_>, data: &[u8], written: &mut usize) -> io::Result<()> {
    while let Some(rest) = data.get(*written..).filter(|rest| !rest.is_empty()) {
        *written += send(fd, rest, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// What a read without waiting has brought; None when there is nothing yet.
fn come(read: Result<(usize, usize), Errno>) -> io::Result<Option<usize>> {
    match read {
        Ok((length, _)) => Ok(Some(length)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn any_readable(fds: &[BorrowedFd<'_>]) -> io::Result<Option<()>> {
    let mut watched: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let at_once = Timespec::default();
    Ok((poll(&mut watched, Some(&at_once))? > 0).then_some(()))
}

/// The file of that number, which the caller keeps open.
#[allow(unsafe_code)]
fn borrowed<'a>(fd: RawFd) -> PyResult<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(PyValueError::new_err(format!("a file's number is 0 or more, got {fd}")));
    }
    // SAFETY: a closed number makes the calls below fail with EBADF, and one that was opened anew reads from what
    // it now is, as Python's own `os.read` does; no memory is touched through it. It is not −1, as is required.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
