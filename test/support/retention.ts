import { type Mailroom, until } from './mailroom.ts';

/** The functions process, started again with its clock `shiftMs` ahead. */
export async function restart(mailroom: Mailroom, shiftMs: number): Promise<void> {
  await mailroom.kill();
  await mailroom.run({ shiftMs });
}

/** One retention, to its end. */
export async function retention(mailroom: Mailroom): Promise<void> {
  const ended = async () => (await mailroom.log()).split("Executed 'Functions.retention'").length;
  const before = await ended();
  await mailroom.fire('retention');
  await until('the end of the retention', 30, async () => (await ended()) > before);
}
