import { type Mailroom, until } from './mailroom.ts';

/** One retention, to its end. */
export async function retention(mailroom: Mailroom): Promise<void> {
  const ended = async () => (await mailroom.log()).split("Executed 'Functions.retention'").length;
  const before = await ended();
  await mailroom.fire('retention');
  await until('the end of the retention', 30, async () => (await ended()) > before);
}
