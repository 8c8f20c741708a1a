import { createServer, request as openRequest, type Server } from 'node:http';
import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { type RowConflict, RowTable, type RowWrite } from './rows.ts';

/** What becomes of a request: it passes; it is carried out and its answer lost; storage never sees it. */
type Fate = 'passes' | 'answerLost' | 'lost';

let azurite: Azurite;
let proxy: Server;
let table: RowTable;
/** Writes past the proxy, as another process. */
let other: RowTable;
/** Asked for every write; reads pass. `count` is the number of the write, from 1. */
let fate: (body: string, count: number) => Fate | Promise<Fate>;
let writes = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  proxy = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', async () => {
      const body = Buffer.concat(chunks);
      const decided = incoming.method === 'GET' ? 'passes' : await fate(body.toString(), ++writes);
      if (decided === 'lost') {
        incoming.socket.destroy();
        return;
      }
      const { method, url: path, headers } = incoming;
      const onward = openRequest({ host: '127.0.0.1', port: azurite.tablePort, method, path, headers }, (answer) => {
        answer.once('error', () => {});
        if (decided === 'answerLost') {
          answer.resume().once('end', () => incoming.socket.destroy());
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      onward.once('error', () => incoming.socket.destroy());
      onward.end(body);
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const opened = (connectionString: string) =>
    TableClient.fromConnectionString(connectionString, 'rows', {
      allowInsecureConnection: true,
      retryOptions: { retryDelayInMs: 20, maxRetries: 3 },
    });
  const direct = opened(azurite.connectionString);
  await direct.createTable();
  const led = opened(azurite.connectionString.replace(`:${azurite.tablePort}/`, `:${port}/`));
  table = new RowTable(async () => led);
  other = new RowTable(async () => direct);
});

afterAll(async () => {
  proxy?.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
  await azurite?.stop();
});

beforeEach(() => {
  writes = 0;
  fate = () => 'passes';
});

const firstLost = () => {
  fate = (_, count) => (count === 1 ? 'answerLost' : 'passes');
};

describe('a write whose answer was lost and that the SDK repeated', () => {
  it.each<[string, (etag: string) => RowWrite[]]>([
    ['an insert', () => [{ kind: 'insert', key: 'new', columns: { n: 1 } }]],
    ['a merge with an etag', (etag) => [{ kind: 'merge', key: 'old', columns: { n: 1 }, etag }]],
    ['a replace with an etag', (etag) => [{ kind: 'replace', key: 'old', columns: { n: 1 }, etag }]],
    ['a delete', () => [{ kind: 'delete', key: 'old' }]],
    ['a delete with an etag', (etag) => [{ kind: 'delete', key: 'old', etag }]],
    [
      'a group with a delete',
      (etag) => [
        { kind: 'delete', key: 'other' },
        { kind: 'merge', key: 'old', columns: { n: 1 }, etag },
        { kind: 'insert', key: 'new', columns: { n: 1 } },
      ],
    ],
    [
      'a group of deletes',
      () => [
        { kind: 'delete', key: 'other' },
        { kind: 'delete', key: 'old' },
      ],
    ],
  ])('%s is no conflict, and answers the etags', async (name, writesOf) => {
    const partition = name.replaceAll(' ', '-');
    const [etag] = await other.write(partition, [
      { kind: 'put', key: 'old', columns: { n: 0 } },
      { kind: 'put', key: 'other', columns: {} },
    ]);
    firstLost();
    const group = writesOf(etag ?? '');
    const etags = await table.write(partition, group);
    expect(writes).toBe(2);
    for (const [index, write] of group.entries()) {
      const row = await other.get(partition, write.key);
      expect(row?.etag ?? '').toBe(etags[index]);
      expect(row?.columns).toEqual(write.kind === 'delete' ? undefined : { n: 1 });
    }
  });

  it('is known in each group of a transaction', async () => {
    await other.write('many', [{ kind: 'put', key: 'taken', columns: { by: 'another' } }]);
    firstLost();
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, (_, n) => table.write('many', [{ kind: 'insert', key: `row${n}`, columns: { n } }])),
    );
    expect(results.map(({ status }) => status)).toEqual(Array(5).fill('fulfilled'));
  });

  it('is a conflict where another process has written since, or was first', async () => {
    const [etag = ''] = await other.write('others', [{ kind: 'put', key: 'row', columns: { n: 0 } }]);
    fate = async (_, count) => {
      if (count > 1) return 'passes';
      await other.write('others', [{ kind: 'merge', key: 'row', columns: { n: 7 } }]);
      return 'lost';
    };
    const conflict = table.write('others', [{ kind: 'merge', key: 'row', columns: { n: 1 }, etag }]);
    await expect(conflict).rejects.toMatchObject({ reason: 'changed' } satisfies Partial<RowConflict>);
    expect((await other.get('others', 'row'))?.columns).toEqual({ n: 7 });
  });

  it('gives no etag by which a row could be written that is another’s by now', async () => {
    let meanwhile = Promise.resolve<unknown>(undefined);
    fate = (_, count) => {
      if (count === 1) return 'answerLost';
      meanwhile = other.write('since', [{ kind: 'merge', key: 'a', columns: { n: 7 } }]);
      return meanwhile.then(() => 'passes');
    };
    const [a = '', b = ''] = await table.write('since', [
      { kind: 'insert', key: 'a', columns: { n: 1 } },
      { kind: 'insert', key: 'b', columns: { n: 1 } },
    ]);
    await expect(table.write('since', [{ kind: 'merge', key: 'a', columns: { n: 2 }, etag: a }])).rejects.toMatchObject(
      {
        reason: 'changed',
      },
    );
    await table.write('since', [{ kind: 'merge', key: 'b', columns: { n: 2 }, etag: b }]);
  });
});

describe('a group that storage refuses', () => {
  it('does not take along those that shared its transaction', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_, n) =>
        // A property of more than 64 KiB is refused with 400.
        table.write('refused', [{ kind: 'put', key: `row${n}`, columns: { text: 'x'.repeat(n === 2 ? 40_000 : 10) } }]),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual(
      [0, 1, 2, 3, 4, 5].map((n) => (n === 2 ? 'rejected' : 'fulfilled')),
    );
  });

  it('nor by breaking the connection', async () => {
    fate = (body) => (body.includes('breaks') ? 'lost' : 'passes');
    const results = await Promise.allSettled(
      ['a', 'b', 'breaks', 'd', 'e'].map((key) => table.write('breaking', [{ kind: 'put', key, columns: {} }])),
    );
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
  });

  it('is not tried for ever where storage is away', async () => {
    fate = () => 'lost';
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, (_, n) => table.write('away', [{ kind: 'put', key: `row${n}`, columns: {} }])),
    );
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    // The transaction and two groups, four times each.
    expect(writes).toBe(12);
  });
});
