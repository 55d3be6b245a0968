/** The CPU time that `work` takes on this thread, in milliseconds: what else the machine does meanwhile does not count. */
export function cpuMs(work: () => unknown): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}
