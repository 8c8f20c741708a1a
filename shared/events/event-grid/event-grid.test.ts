import { describe, expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { inLogScope } from '../../platform/log.ts';
import { Shutdown } from '../../platform/shutdown.ts';
import { topic } from '../deliveries/delivery-rows.ts';
import { WakeUps } from '../deliveries/wake-ups.ts';
import type { CloudEvent } from '../events.ts';
import type { TopicContext } from './context.ts';
import { deliverToTopic } from './deliver.ts';
import { cleanUpTopic, recoverTopic } from './housekeeping.ts';
import { topicSink } from './sink.ts';
import { TopicRefusal } from './topic-client.ts';

const second = 1_000;
const hour = 3_600_000;
const day = 24 * hour;
const options = { signal: new AbortController().signal };

type Line = Readonly<Record<string, unknown>>;

/** A topic on rows in memory and a clock that the test moves. It takes everything, unless `onSend` throws. */
class TopicSite {
  now = Date.parse('2026-03-01T09:30:00Z');
  readonly rows = new MemoryRows(() => this.now);
  readonly shutdown = new Shutdown();
  /** Requests to the topic, with their events; and those it took. */
  readonly requests: (readonly CloudEvent[])[] = [];
  readonly taken: CloudEvent[] = [];
  readonly enqueued: { readonly target: string; readonly delayMs: number }[] = [];
  readonly lines: Line[] = [];
  onSend: (events: readonly CloudEvent[]) => void | Promise<void> = () => undefined;
  readonly context = this.process();
  #events = 0;

  /** Another process on the same rows; `hasTopic` false: it has no topic. */
  process(hasTopic = true): TopicContext {
    const clock = { now: () => this.now };
    const client = {
      send: async (events: readonly CloudEvent[]) => {
        this.requests.push(events);
        await this.onSend(events);
        this.taken.push(...events);
      },
    };
    return {
      clock,
      rows: this.rows,
      shutdown: this.shutdown,
      wakeUps: new WakeUps(async (target, delayMs) => void this.enqueued.push({ target, delayMs }), clock),
      client: hasTopic ? client : undefined,
    };
  }

  /** Publishes events, each a second after the one before; answers their ids. `characters`: of each, about. */
  async publish(count = 1, characters = 0): Promise<readonly string[]> {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) {
      this.#events += 1;
      const subject = `corpus.${String(this.#events).padStart(20, '0')}`;
      ids.push(`mailroom.message.sent:${subject}`);
      const data = { status: 'sent', metadata: { note: 'n'.repeat(characters) } };
      this.now += second;
      await topicSink(this.context).publish({
        type: 'mailroom.message.sent',
        account: 'corpus',
        subject,
        time: this.now,
        data,
      });
    }
    return ids;
  }

  async #logged(work: () => Promise<void>): Promise<readonly Line[]> {
    const before = this.lines.length;
    await inLogScope({ sink: (_, line) => this.lines.push(JSON.parse(line)) }, work);
    return this.lines.slice(before);
  }

  /** Does what a queue message for the topic asks for; answers what it logged. */
  deliver(context = this.context): Promise<readonly Line[]> {
    return this.#logged(() => deliverToTopic(context, options));
  }

  cleanUp(context = this.context): Promise<readonly Line[]> {
    return this.#logged(() => cleanUpTopic(context, options));
  }

  get ids(): readonly string[] {
    return this.taken.map(({ id }) => id);
  }

  /** Keys of what waits (`w:`), or was given up (`g:`). */
  keys(prefix: string): readonly string[] {
    return this.rows.keys(topic, prefix);
  }
}

const refuse = (status: number, code?: string) => () => {
  throw new TopicRefusal(status, code);
};

describe('events for the topic', () => {
  it('go in the order in which they happened, a hundred in a request', async () => {
    const site = new TopicSite();
    const ids = await site.publish(250);
    await site.deliver();
    expect(site.requests.map(({ length }) => length)).toEqual([100, 100, 50]);
    expect(site.ids).toEqual(ids);
    expect(site.keys('')).toEqual(['s']);
  });

  it('go in requests of 300,000 characters at most', async () => {
    const site = new TopicSite();
    const ids = await site.publish(100, 10_000);
    await site.deliver();
    const sizes = site.requests.map((events) => events.reduce((sum, event) => sum + JSON.stringify(event).length, 0));
    expect(sizes.filter((size) => size > 300_000)).toEqual([]);
    // As many as fit: the smallest number of requests.
    expect(site.requests).toHaveLength(4);
    expect(site.ids).toEqual(ids);
  });

  it('that are larger than that go alone', async () => {
    const site = new TopicSite();
    const ids = [...(await site.publish(1, 10)), ...(await site.publish(2, 400_000)), ...(await site.publish(1, 10))];
    await site.deliver();
    expect(site.requests.map((events) => events.map(({ id }) => id))).toEqual(ids.map((id) => [id]));
  });

  it('leave as one process’s, and those of a process that is gone when its lease has lapsed', async () => {
    const site = new TopicSite();
    const ids = await site.publish(2);
    let other: Promise<unknown> | undefined;
    site.onSend = () => {
      other ??= site.deliver(site.process());
    };
    await site.deliver();
    await other;
    expect(site.ids).toEqual(ids);
  });

  it('are not begun by a process that is about to end', async () => {
    const site = new TopicSite();
    await site.publish();
    site.now += 2 * second;
    await site.shutdown.announce(0);
    const before = site.enqueued.length;
    await site.deliver();
    expect(site.requests).toEqual([]);
    expect(site.enqueued.slice(before)).toEqual([{ target: topic, delayMs: 0 }]);
  });

  it('of a process that is to end in between are left to a queue message', async () => {
    const site = new TopicSite();
    await site.publish(101);
    site.now += 2 * second;
    site.enqueued.length = 0;
    site.onSend = () => void site.shutdown.announce(0);
    await site.deliver();
    expect([site.taken.length, site.keys('w:').length]).toEqual([100, 1]);
    expect(site.enqueued).toEqual([{ target: topic, delayMs: 0 }]);
  });

  it('wait where there is no topic any more', async () => {
    const site = new TopicSite();
    await site.publish();
    site.now += 2 * second;
    site.enqueued.length = 0;
    await site.deliver(site.process(false));
    await recoverTopic(site.process(false), options);
    expect(site.enqueued).toEqual([]);
    expect(site.keys('w:')).toHaveLength(1);
  });
});

describe('a process that is killed between the topic’s answer and the removal of what it took', () => {
  it.each([
    ['of all', 0],
    ['of the last', 2],
  ])('%s: sent twice, under the same id, and none is lost', async (_, removed) => {
    const site = new TopicSite();
    const ids = await site.publish(3);
    let left = removed;
    site.rows.onWrite = (_, writes) => {
      if (!site.taken.length) return;
      if (writes.some(({ kind }) => kind === 'delete') && left > 0) left -= 1;
      else throw new Error('the process is gone');
    };
    await expect(site.deliver()).rejects.toThrow('gone');
    site.rows.onWrite = () => undefined;
    // Nobody else sends before its lease has lapsed.
    await site.deliver(site.process());
    expect(site.requests).toHaveLength(1);
    site.now += 61 * second;
    await site.deliver(site.process());
    expect(site.requests.slice(1).map((events) => events.map(({ id }) => id))).toEqual([ids.slice(removed)]);
    expect(new Set(site.ids)).toEqual(new Set(ids));
    expect(site.keys('w:')).toEqual([]);
  });
});

describe('a topic that refuses a request', () => {
  it.each([400, 413])('with %i gets its events one by one, and what it refuses alone is left out', async (status) => {
    const site = new TopicSite();
    const ids = await site.publish(5);
    site.onSend = (events) => {
      if (events.length > 1 || events[0]?.id === ids[2]) throw new TopicRefusal(status, 'BadRequest');
    };
    expect(await site.deliver()).toEqual([{ event: 'events.topicRefusedEvent', id: ids[2] }]);
    expect(site.requests.map(({ length }) => length)).toEqual([5, 1, 1, 1, 1, 1]);
    expect(site.ids).toEqual(ids.filter((id) => id !== ids[2]));
    expect([site.keys('w:').length, site.keys('g:').length]).toEqual([0, 1]);
  });

  it('and then goes away keeps what it has not had', async () => {
    const site = new TopicSite();
    const ids = await site.publish(4);
    site.onSend = (events) => {
      if (events.length > 1) throw new TopicRefusal(413, undefined);
      if (site.taken.length === 2) throw new TopicRefusal(503, undefined);
    };
    const lines = await site.deliver();
    expect(lines).toMatchObject([{ event: 'events.topicFailing', status: 503 }]);
    expect(site.ids).toEqual(ids.slice(0, 2));
    site.onSend = () => undefined;
    site.now += 5 * second;
    await site.deliver();
    expect(site.ids).toEqual(ids);
  });
});

describe('a topic that fails', () => {
  it.each([
    [
      refuse(403, 'Forbidden'),
      { status: 403, code: 'Forbidden', hint: expect.stringContaining('EventGrid Data Sender') },
    ],
    [refuse(401), { status: 401, hint: expect.stringContaining('EventGrid Data Sender') }],
    [refuse(404), { status: 404, hint: expect.stringContaining('no such topic') }],
    [refuse(503), { status: 503, hint: expect.stringContaining('sent again') }],
    [
      () => {
        throw new Error('no way there');
      },
      { error: 'Error: no way there', hint: expect.stringContaining('could not be reached') },
    ],
  ])('is one line of the log, and another when it works again: %#', async (fails, line) => {
    const site = new TopicSite();
    const ids = await site.publish();
    site.onSend = fails;
    expect(await site.deliver()).toEqual([{ event: 'events.topicFailing', ...line }]);
    site.now += 10 * second;
    expect(await site.deliver()).toEqual([]);
    expect(site.requests).toHaveLength(2);
    site.onSend = () => undefined;
    site.now += 20 * second;
    expect(await site.deliver()).toEqual([{ event: 'events.topicWorks', seconds: 30 }]);
    expect(site.ids).toEqual(ids);
  });

  it('is left alone for as long as it fails, five seconds to five minutes, and looked at then', async () => {
    const site = new TopicSite();
    await site.publish();
    site.onSend = refuse(503);
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const before = site.enqueued.length;
      await site.deliver();
      const [wakeUp] = site.enqueued.slice(before);
      waits.push((wakeUp?.delayMs ?? 0) / second);
      // A queue message that comes early sends nothing.
      site.now += (wakeUp?.delayMs ?? 0) - 1;
      await site.deliver();
      expect(site.requests).toHaveLength(attempt);
      site.now += 1;
    }
    expect(waits).toEqual([5, 5, 10, 20, 40]);
    site.now += hour;
    await site.deliver();
    site.now += 5 * 60 * second - 1;
    await site.deliver();
    expect(site.requests).toHaveLength(6);
    site.now += 1;
    await site.deliver();
    expect(site.requests).toHaveLength(7);
  });
});

describe('the timers of the topic', () => {
  it('have it looked at where events wait', async () => {
    const site = new TopicSite();
    await recoverTopic(site.context, options);
    expect(site.enqueued).toEqual([]);
    await site.publish();
    site.now += 2 * second;
    site.enqueued.length = 0;
    await recoverTopic(site.process(), options);
    expect(site.enqueued).toEqual([{ target: topic, delayMs: 0 }]);
  });

  it('say every hour that it fails, since when, and nothing where it works or is no more', async () => {
    const site = new TopicSite();
    await site.publish();
    expect(await site.cleanUp()).toEqual([]);
    site.onSend = refuse(503);
    await site.deliver();
    const since = new Date(site.now).toISOString();
    for (let hours = 0; hours < 3; hours += 1) {
      site.now += hour;
      expect(await site.cleanUp()).toEqual([{ event: 'events.topicStillFailing', since }]);
    }
    expect(await site.cleanUp(site.process(false))).toEqual([]);
    site.onSend = () => undefined;
    await site.deliver();
    expect(await site.cleanUp()).toEqual([]);
  });

  it('give up what has waited for 30 days, keep it for 30 more, and leave what is younger', async () => {
    const site = new TopicSite();
    const old = await site.publish(2);
    site.onSend = refuse(503);
    await site.deliver();
    site.now += 30 * day - second;
    const [young] = await site.publish();
    const givenUp = ({ event }: Line) => event === 'events.topicGivenUp';
    expect((await site.cleanUp()).filter(givenUp)).toEqual([{ event: 'events.topicGivenUp', events: 1 }]);
    site.now += second + 1;
    expect((await site.cleanUp()).filter(givenUp)).toEqual([{ event: 'events.topicGivenUp', events: 1 }]);
    expect([site.keys('w:').length, site.keys('g:').length]).toEqual([1, 2]);
    site.onSend = () => undefined;
    await site.deliver();
    expect(site.ids).toEqual([young]);
    expect(site.ids).not.toContain(old[0]);
    site.now += 30 * day - second;
    await site.cleanUp();
    expect(site.keys('g:')).toHaveLength(1);
    site.now += 2 * second;
    expect((await site.cleanUp()).filter(givenUp)).toEqual([]);
    expect(site.keys('g:')).toEqual([]);
  });
});
