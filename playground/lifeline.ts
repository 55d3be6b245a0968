/**
 * Importing this ties a process to the one that started it with an IPC channel: it ends as soon as the channel
 * does, so that even a SIGKILL of the playground leaves no orphans. Without a channel it does nothing.
 */
process.once('disconnect', () => process.exit(1));
// The listener alone would keep a process alive that has nothing left to do.
process.channel?.unref();
