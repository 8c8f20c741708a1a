import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type SimulatedProcess, settled, startLimitSite } from '../../test/support/limit-site.ts';
import { random } from '../../test/support/mails.ts';
import { ProcessRate, type SendToken } from './process-rate.ts';

const site = startLimitSite();
beforeAll(() => {
  // Storage that is away is reported, thousands of times here.
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
});

const never = new AbortController().signal;
const minute = 60_000;

class Sender {
  readonly process: SimulatedProcess;
  readonly rate: ProcessRate;
  waitMs = 0;

  constructor(account: string, perMinute: number) {
    this.process = site.process(account);
    this.rate = new ProcessRate(this.process.rows, 'm', perMinute, this.process.ticker);
  }

  async take(): Promise<SendToken | undefined> {
    const got = await this.rate.acquire(never);
    if ('retryAfterMs' in got) {
      this.waitMs = got.retryAfterMs;
      return undefined;
    }
    return got;
  }

  /** Sends as many as it may of so many at once. */
  async send(count: number): Promise<number> {
    const tokens = await Promise.all(Array.from({ length: count }, () => this.take()));
    return tokens.filter((token) => token?.use()).length;
  }
}

const account = (() => {
  let count = 0;
  return () => `rate-${count++}`;
})();

/** The most mails in any 60 seconds, wherever they begin. */
function mostInAMinute(sent: readonly number[]): number {
  const times = [...sent].sort((a, b) => a - b);
  let most = 0;
  let from = 0;
  times.forEach((at, index) => {
    while (at - (times[from] ?? at) >= minute) from += 1;
    most = Math.max(most, index - from + 1);
  });
  return most;
}

describe('mails a minute', () => {
  it('are never more than allowed, whoever asks at the same time', async () => {
    const name = account();
    const senders = Array.from({ length: 10 }, () => new Sender(name, 25));
    let sent = 0;
    for (let round = 0; round < 25; round += 1) {
      const counts = await Promise.all(senders.map((sender) => sender.send(4)));
      sent += counts.reduce((sum, count) => sum + count, 0);
      await site.pass(2_000);
    }
    expect(sent).toBe(25);
  });

  it('come again a minute after they left', async () => {
    const sender = new Sender(account(), 3);
    expect(await sender.send(5)).toBe(3);
    // They may yet come back unused; once they are known to have left, it is known when others may.
    expect(sender.waitMs).toBeLessThanOrEqual(5_000);
    await site.pass(5_000);
    expect(await sender.send(1)).toBe(0);
    expect(sender.waitMs).toBeGreaterThan(minute - 5_000);
    expect(sender.waitMs).toBeLessThan(minute);
    await site.pass(sender.waitMs - 1_500);
    expect(await sender.send(1)).toBe(0);
    await site.pass(2_000);
    expect(await sender.send(5)).toBe(3);
  });

  it('cost a write for many, where many are allowed', async () => {
    const sender = new Sender(account(), 6_000);
    for (let mail = 0; mail < 500; mail += 1) expect(await sender.send(1)).toBe(1);
    expect(sender.process.calls.writes).toBeLessThan(20);
    expect(sender.process.calls.reads).toBe(1);
  });

  it('that a process took and did not send are there for the others', async () => {
    const name = account();
    const [one, two] = [new Sender(name, 20), new Sender(name, 20)];
    const kept = await Promise.all(Array.from({ length: 20 }, () => one.take()));
    expect(await two.send(1)).toBe(0);
    for (const token of kept) token?.release();
    await site.pass(6_000);
    expect(await two.send(20)).toBe(20);
    expect(one.rate.unused).toBe(true);
  });

  it('that a killed process had count until they could have left', async () => {
    const name = account();
    const [dead, other] = [new Sender(name, 2), new Sender(name, 2)];
    await Promise.all([dead.take(), dead.take()]);
    dead.process.stopped = true;
    await site.pass(minute);
    expect(await other.send(1)).toBe(0);
    await site.pass(18_000);
    expect(await other.send(2)).toBe(2);
  });

  it('that a killed process had count no longer because its clock ran two hours ahead', async () => {
    const name = account();
    const [dead, other] = [new Sender(name, 3), new Sender(name, 3)];
    dead.process.skewMs = 7_200_000;
    const [used] = await Promise.all([dead.take(), dead.take(), dead.take()]);
    used?.use();
    await site.pass(6_000);
    dead.process.stopped = true;
    expect(await other.send(1)).toBe(0);
    await site.pass(90_000);
    expect(await other.send(3)).toBe(3);
  });

  it('may not leave once the right to could not be renewed', async () => {
    const name = account();
    const [sender, other] = [new Sender(name, 1), new Sender(name, 1)];
    const token = await sender.take();
    sender.process.cutOff = true;
    await site.pass(14_000);
    expect(token?.use()).toBe(false);
    token?.release();
    expect(await other.send(1)).toBe(0);
  });

  it('may take their time from the right to send to their last bytes', async () => {
    const name = account();
    const [slow, other] = [new Sender(name, 1), new Sender(name, 1)];
    const token = await slow.take();
    await site.pass(3 * minute);
    expect(await other.send(1)).toBe(0);
    expect(token?.use()).toBe(true);
    await site.pass(minute);
    expect(await other.send(1)).toBe(0);
    await site.pass(3_000);
    expect(await other.send(1)).toBe(1);
  });

  it('follow a limit that was lowered', async () => {
    const sender = new Sender(account(), 10);
    expect(await sender.send(4)).toBe(4);
    sender.rate.perMinute = 3;
    await site.pass(5_000);
    expect(await sender.send(1)).toBe(0);
    sender.rate.perMinute = 5;
    await site.pass(5_000);
    expect(await sender.send(3)).toBe(1);
  });

  it('do not wait for whoever stopped asking', async () => {
    const sender = new Sender(account(), 1);
    const stop = new AbortController();
    const asked = sender.rate.acquire(stop.signal);
    stop.abort();
    expect('retryAfterMs' in (await asked)).toBe(true);
    await settled();
    expect(await sender.send(1)).toBe(1);
  });
});

describe('whatever happens to processes and storage', () => {
  const seeds = process.env.SOAK ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] : [1, 2];
  it.each(seeds)('no sixty seconds have a mail too many, and few are missing: seed %i', async (seed) => {
    const chance = random(seed);
    const name = account();
    const perMinute = 30;
    const senders: Sender[] = [];
    const spawn = () => {
      const sender = new Sender(name, perMinute);
      sender.process.skewMs = Math.round((chance() - 0.5) * 1_800);
      senders.push(sender);
    };
    for (let count = 0; count < 4; count += 1) spawn();
    const sent: number[] = [];
    const underWay: { readonly token: SendToken; readonly sender: Sender; readonly at: number }[] = [];
    const start = site.now;
    const seconds = 400;
    for (let second = 0; second < seconds; second += 1) {
      for (const sender of [...senders]) {
        const dice = chance();
        if (dice < 0.5) {
          const token = await sender.take();
          // From the right to send to the last bytes: some seconds, now and then half a minute.
          const takes = chance() < 0.1 ? 30_000 : 2_500;
          if (token) underWay.push({ token, sender, at: site.now + chance() * takes });
        } else if (dice < 0.51) sender.process.cutOff = !sender.process.cutOff;
        else if (dice < 0.515) {
          sender.process.stopped = true;
          senders.splice(senders.indexOf(sender), 1);
          spawn();
        }
      }
      for (const one of underWay.filter(({ at }) => at <= site.now)) {
        underWay.splice(underWay.indexOf(one), 1);
        if (one.sender.process.stopped) continue;
        if (chance() < 0.1) one.token.release();
        else if (one.token.use()) sent.push(site.now);
      }
      await site.pass(1_000);
    }
    expect(mostInAMinute(sent)).toBeLessThanOrEqual(perMinute);
    // With processes killed and cut off on the way.
    expect(sent.length).toBeGreaterThan(0.4 * perMinute * ((site.now - start) / minute));
  });

  it('a limit is used to the full by several processes that always have mail', async () => {
    const name = account();
    const senders = Array.from({ length: 3 }, () => new Sender(name, 60));
    const sent: number[] = [];
    for (let second = 0; second < 300; second += 1) {
      for (const sender of senders) {
        for (let count = await sender.send(2); count > 0; count -= 1) sent.push(site.now);
      }
      await site.pass(1_000);
    }
    expect(mostInAMinute(sent)).toBeLessThanOrEqual(60);
    expect(sent.length).toBeGreaterThan(0.85 * 60 * 5);
  });
});
