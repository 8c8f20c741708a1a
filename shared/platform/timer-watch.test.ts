import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { RowTable } from './rows.ts';
import { TimerWatch } from './timer-watch.ts';

const minute = 60_000;
const hour = 60 * minute;
const { signal } = new AbortController();

let azurite: Azurite;
let tables = 0;
beforeAll(async () => {
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  azurite = await startAzurite();
});
afterAll(() => azurite?.stop());

/** A table, and processes on it with one clock. */
async function site() {
  tables += 1;
  const options = { allowInsecureConnection: true };
  const client = TableClient.fromConnectionString(azurite.connectionString, `timers${tables}`, options);
  await client.createTable();
  const time = { now: 1_800_000_000_000 };
  const timers = [
    { name: 'minutely', next: (after: number) => after + minute },
    { name: 'hourly', next: (after: number) => after + hour },
    { name: 'never', next: () => undefined },
  ];
  const process = () => new TimerWatch(new RowTable(async () => client), timers, { now: () => time.now });
  return { time, process };
}

const overdue = async (watch: TimerWatch) =>
  (await watch.states({ signal })).filter((state) => state.overdue).map(({ name }) => name);

describe('TimerWatch', () => {
  it('finds a timer that stands still, from when it was first looked for', async () => {
    const { time, process } = await site();
    const watch = process();
    expect(await overdue(watch)).toEqual([]);
    time.now += 17 * minute;
    expect(await overdue(watch)).toEqual(['minutely']);
    await watch.ran('minutely');
    expect(await overdue(process())).toEqual([]);
    time.now += hour;
    expect(await overdue(watch)).toEqual(['minutely', 'hourly']);
  });

  it('gives its work to one of all processes, and asks once a minute', async () => {
    const { time, process } = await site();
    const watches = [process(), process(), process()];
    expect(await watches[0]?.takeOverdue({ signal })).toEqual([]);
    time.now += 2 * hour;
    const taken = await Promise.all(watches.map((watch) => watch.takeOverdue({ signal })));
    expect(taken.flat().sort()).toEqual(['hourly', 'minutely']);
    time.now += 30_000;
    const restless = vi.spyOn(RowTable.prototype, 'prefix');
    expect(await watches[1]?.takeOverdue({ signal })).toEqual([]);
    expect(restless).not.toHaveBeenCalled();
    time.now += 20 * minute;
    expect(await watches[1]?.takeOverdue({ signal })).toEqual(['minutely']);
    expect(restless).toHaveBeenCalledOnce();
  });

  it('notes a timer of each minute every five minutes, and never fails for it', async () => {
    const { time, process } = await site();
    const watch = process();
    const write = vi.spyOn(RowTable.prototype, 'write');
    for (let n = 0; n < 11; n++) {
      await watch.ran('minutely');
      time.now += minute;
    }
    expect(write).toHaveBeenCalledTimes(3);
    write.mockRejectedValue(new Error('away'));
    await watch.ran('hourly');
  });
});
