import { readFile, writeFile } from 'node:fs/promises';

/** The most resident memory that a process had since `forgetPeak`, in bytes (proc(5): VmHWM). */
export async function peakMemory(pid: number): Promise<number> {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'latin1'))?.[1];
  if (kibibytes === undefined) throw new Error('the process is gone');
  return Number(kibibytes) * 1024;
}

/** From now on the peak is counted anew, from what the process has in memory now (proc(5): clear_refs). Answers that. */
export async function forgetPeak(pid: number): Promise<number> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  return await peakMemory(pid);
}
