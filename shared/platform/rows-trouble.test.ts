import { RestError, type TableClient, type TransactionAction } from '@azure/data-tables';
import { beforeEach, describe, expect, it } from 'vitest';
import { RowConflict, RowTable, type RowWrite } from './rows.ts';

/** What a table does when storage fails, refuses or is away, on a client that answers as a test says. */

interface Sent {
  readonly kind: 'one' | 'transaction' | 'get' | 'list';
  /** Keys of the rows it names. */
  readonly keys: readonly string[];
  readonly options?: unknown;
}

let sent: Sent[];
/** Asked for each request that writes; may throw, as storage does. `count` is its number, from 1. */
let onWrite: (request: Sent, count: number) => void | Promise<void>;
let entities: Map<string, Record<string, unknown>>;
/** Rows that a listing answers, page by page. */
let pages: readonly (readonly string[])[];
let table: RowTable;

const refused = (statusCode: number) => new RestError(`status ${statusCode}`, { statusCode });
const noAnswer = () => new RestError('no answer', { code: 'ECONNRESET' });

interface Entity {
  readonly rowKey: string;
}

function fakeClient(): TableClient {
  let etags = 0;
  const keep = (entity: Entity) => {
    etags += 1;
    const etag = `etag ${etags}`;
    entities.set(entity.rowKey, { ...entity, etag });
    return { etag };
  };
  const write = async <T>(request: Sent, done: () => T): Promise<T> => {
    sent.push(request);
    await onWrite(request, sent.filter(({ kind }) => kind === 'one' || kind === 'transaction').length);
    return done();
  };
  const one = (entity: Entity) => write({ kind: 'one', keys: [entity.rowKey] }, () => keep(entity));
  return {
    pipeline: { addPolicy: () => undefined },
    createEntity: one,
    upsertEntity: one,
    updateEntity: one,
    deleteEntity: (_: string, rowKey: string, options: unknown) =>
      write({ kind: 'one', keys: [rowKey], options }, () => entities.delete(rowKey)),
    submitTransaction: (actions: readonly TransactionAction[]) => {
      const named = actions.map(([kind, entity]) => ({ kind, entity: entity as unknown as Entity }));
      return write({ kind: 'transaction', keys: named.map(({ entity }) => entity.rowKey) }, () => ({
        subResponses: named.map(({ kind, entity }) => {
          if (kind !== 'delete') return keep(entity);
          entities.delete(entity.rowKey);
          return {};
        }),
      }));
    },
    getEntity: async (_: string, rowKey: string) => {
      sent.push({ kind: 'get', keys: [rowKey] });
      const entity = entities.get(rowKey);
      if (!entity) throw refused(404);
      return entity;
    },
    listEntities: (options: unknown) => ({
      byPage: async function* (settings: unknown) {
        sent.push({ kind: 'list', keys: [], options: { options, settings } });
        for (const keys of pages) yield keys.map((rowKey) => ({ rowKey, etag: 'x', n: 1 }));
      },
    }),
  } as unknown as TableClient;
}

beforeEach(() => {
  sent = [];
  onWrite = () => undefined;
  entities = new Map();
  pages = [];
  const client = fakeClient();
  table = new RowTable(async () => client);
});

const put = (key: string): RowWrite => ({ kind: 'put', key, columns: { n: 1 } });
const requests = (kind: Sent['kind']) => sent.filter((request) => request.kind === kind).map(({ keys }) => keys);
const outcomes = async (writes: readonly Promise<unknown>[]) =>
  (await Promise.allSettled(writes)).map((result) =>
    result.status === 'fulfilled' ? 'written' : String(result.reason.message),
  );

describe('transactions', () => {
  it('hold what comes in one turn, and then what came while they were under way', async () => {
    const written: Promise<unknown>[] = [];
    onWrite = (_, count) => {
      if (count === 1) written.push(table.write('p', [put('c')]), table.write('p', [put('d')]));
    };
    await Promise.all([table.write('p', [put('a')]), table.write('p', [put('b')])]);
    await Promise.all(written);
    expect(requests('transaction')).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  it('are of one partition each, and one row alone needs none', async () => {
    await Promise.all([table.write('p', [put('a')]), table.write('q', [put('b')])]);
    expect([requests('transaction'), requests('one')]).toEqual([[], [['a'], ['b']]]);
  });

  it('of many rows hold 100 each', async () => {
    await table.writeAll(
      'p',
      Array.from({ length: 201 }, (_, n) => put(`${n}`)),
    );
    expect([requests('transaction').map(({ length }) => length), requests('one')]).toEqual([[100, 100], [['200']]]);
  });

  it('of no rows are none', async () => {
    expect(await table.write('p', [])).toEqual([]);
    await table.writeAll('p', []);
    expect(sent).toEqual([]);
  });
});

describe('a transaction that fails', () => {
  it('is taken apart: each group fails or not for itself', async () => {
    onWrite = ({ keys }) => {
      if (keys.includes('bad')) throw refused(400);
    };
    const writes = ['a', 'bad', 'c', 'd'].map((key) => table.write('p', [put(key)]));
    expect(await outcomes(writes)).toEqual(['written', 'status 400', 'written', 'written']);
    expect(requests('one')).toEqual([['a'], ['bad'], ['c'], ['d']]);
  });

  it.each([undefined, 401, 403, 408, 429, 500, 503])(
    'with %s fails the others after two groups in a row: storage is away',
    async (status) => {
      onWrite = () => {
        throw status === undefined ? noAnswer() : refused(status);
      };
      const writes = ['a', 'b', 'c', 'd'].map((key) => table.write('p', [put(key)]));
      const message = status === undefined ? 'no answer' : `status ${status}`;
      expect(await outcomes(writes)).toEqual(Array(4).fill(message));
      expect(requests('one')).toEqual([['a'], ['b']]);
    },
  );

  it.each([400, 404, 409, 412, 413])('with %s is each group’s own, and all are tried', async (status) => {
    onWrite = () => {
      throw refused(status);
    };
    await outcomes(['a', 'b', 'c', 'd'].map((key) => table.write('p', [put(key)])));
    expect(requests('one')).toEqual([['a'], ['b'], ['c'], ['d']]);
  });

  it('goes on where not two in a row fail', async () => {
    onWrite = ({ kind, keys }) => {
      if (kind === 'transaction' || ['a', 'c', 'e'].includes(keys[0] ?? '')) throw refused(503);
    };
    const writes = ['a', 'b', 'c', 'd', 'e', 'f'].map((key) => table.write('p', [put(key)]));
    const away = 'status 503';
    expect(await outcomes(writes)).toEqual([away, 'written', away, 'written', away, 'written']);
  });

  it('because there is no client fails all of its groups, and the next one is tried anew', async () => {
    let away = true;
    const client = fakeClient();
    const waking = new RowTable(async () => {
      if (away) throw new Error('no token');
      return client;
    });
    const writes = ['a', 'b'].map((key) => waking.write('p', [put(key)]));
    expect(await outcomes(writes)).toEqual(['no token', 'no token']);
    away = false;
    expect(await outcomes([waking.write('p', [put('a')])])).toEqual(['written']);
  });
});

describe('a refusal', () => {
  it.each<[number, RowWrite, string]>([
    [409, { kind: 'insert', key: 'a', columns: {} }, 'exists'],
    [412, { kind: 'merge', key: 'a', columns: {}, etag: 'x' }, 'changed'],
    [404, { kind: 'merge', key: 'a', columns: {} }, 'missing'],
    [404, { kind: 'replace', key: 'a', columns: {} }, 'missing'],
    [404, { kind: 'delete', key: 'a' }, 'missing'],
  ])('%i of %j is the conflict %s', async (status, write, reason) => {
    onWrite = () => {
      throw refused(status);
    };
    const conflict = await table.write('p', [write]).catch((error: unknown) => error);
    expect(conflict).toBeInstanceOf(RowConflict);
    expect(conflict).toMatchObject({ reason });
    // Nothing was repeated: nobody has to look whose write it was.
    expect(requests('get')).toEqual([]);
  });

  it.each<[RowWrite]>([[{ kind: 'insert', key: 'a', columns: {} }], [put('a')]])(
    '404 of %j, which needs no row, is not: the table is missing',
    async (write) => {
      onWrite = () => {
        throw refused(404);
      };
      await expect(table.write('p', [write])).rejects.not.toBeInstanceOf(RowConflict);
    },
  );
});

describe('a write whose answer did not come', () => {
  /** Carries out the write, and then fails. */
  const answerLost = (error: () => Error, then: () => void = () => undefined) => {
    onWrite = ({ keys }, count) => {
      if (count > 1) return;
      for (const rowKey of keys) entities.set(rowKey, { rowKey, etag: `kept ${rowKey}`, writeId: written });
      then();
      throw error();
    };
  };
  /** The id by which a group knows its own rows. */
  let written = '';
  beforeEach(() => {
    const client = fakeClient();
    const { upsertEntity } = client;
    client.upsertEntity = (entity, ...others) => {
      written = String((entity as Record<string, unknown>).writeId);
      return upsertEntity(entity, ...others);
    };
    table = new RowTable(async () => client);
  });

  it('is known by the row that it left', async () => {
    answerLost(noAnswer);
    expect(await table.write('p', [put('a')])).toEqual(['kept a']);
    expect(requests('get')).toEqual([['a']]);
  });

  it('has failed where the row is another’s', async () => {
    answerLost(noAnswer, () => entities.set('a', { rowKey: 'a', etag: 'x', writeId: 'another' }));
    await expect(table.write('p', [put('a')])).rejects.toThrow('no answer');
  });

  it('has failed where there is no row, and where none can be read', async () => {
    answerLost(noAnswer, () => entities.delete('a'));
    await expect(table.write('p', [put('a')])).rejects.toThrow('no answer');
    answerLost(() => refused(503));
    entities.get = () => {
      throw refused(500);
    };
    sent = [];
    await expect(table.write('p', [put('a')])).rejects.toThrow('status 503');
    expect(requests('get')).toEqual([['a']]);
  });
});

describe('a delete', () => {
  it('whose answer did not come has failed, even where the row is gone: another may have deleted it', async () => {
    onWrite = () => {
      throw noAnswer();
    };
    await expect(table.write('p', [{ kind: 'delete', key: 'a' }])).rejects.toThrow('no answer');
  });

  it('names the etag that it was given, or any', async () => {
    await table.write('p', [{ kind: 'delete', key: 'a', etag: 'x' }]);
    await table.write('p', [{ kind: 'delete', key: 'a' }]);
    expect(sent.map(({ options }) => options)).toEqual([{ etag: 'x' }, { etag: '*' }]);
  });

  it('of each of many leaves alone what others changed, and fails where storage does', async () => {
    onWrite = ({ keys, kind }) => {
      if (kind === 'transaction' || keys.includes('a')) throw refused(412);
    };
    await table.deleteEach('p', [{ key: 'a', etag: 'x' }, { key: 'b' }]);
    expect(requests('one')).toEqual([['a'], ['b']]);
    onWrite = () => {
      throw refused(503);
    };
    await expect(table.deleteEach('p', [{ key: 'a' }, { key: 'b' }])).rejects.toThrow('status 503');
  });
});

describe('reading', () => {
  const keysOf = async (options?: Parameters<RowTable['range']>[3]) => {
    const keys: string[] = [];
    for await (const { key } of table.range("o'p", 'a', 'c', options)) keys.push(key);
    return keys;
  };
  const asked = () => sent[0]?.options;

  it('one row: undefined where there is none, and an error where storage fails', async () => {
    expect(await table.get('p', 'a')).toBeUndefined();
    entities.set('a', { rowKey: 'a', etag: 'x', n: 1 });
    expect(await table.get('p', 'a')).toEqual({ key: 'a', etag: 'x', columns: { n: 1 } });
    entities.get = () => {
      throw refused(503);
    };
    await expect(table.get('p', 'a')).rejects.toThrow('status 503');
  });

  it('a range: all of its pages, by its own condition and the one that is given', async () => {
    pages = [['a1', 'a2'], [], ['b1']];
    expect(await keysOf({ filter: 'n eq 1 or n eq 2', select: ['n'] })).toEqual(['a1', 'a2', 'b1']);
    const filter = "PartitionKey eq 'o''p' and RowKey ge 'a' and RowKey lt 'c' and (n eq 1 or n eq 2)";
    expect(asked()).toEqual({
      options: { queryOptions: { filter, select: ['RowKey', 'n'] } },
      settings: { maxPageSize: 1_000 },
    });
  });

  it('a range without more than its bounds', async () => {
    expect(await keysOf()).toEqual([]);
    const filter = "PartitionKey eq 'o''p' and RowKey ge 'a' and RowKey lt 'c'";
    expect(asked()).toEqual({ options: { queryOptions: { filter } }, settings: { maxPageSize: 1_000 } });
  });

  it.each([
    [1, ['a1'], 1],
    [2, ['a1', 'a2'], 2],
    [3, ['a1', 'a2', 'b1'], 3],
    [5_000, ['a1', 'a2', 'b1'], 1_000],
  ])('up to %i rows, and no page of more', async (top, keys, maxPageSize) => {
    pages = [['a1', 'a2'], ['b1']];
    expect(await keysOf({ top })).toEqual(keys);
    expect(asked()).toMatchObject({ settings: { maxPageSize } });
  });

  it.each([0, -1])('up to %i rows without a request', async (top) => {
    pages = [['a1']];
    expect([await keysOf({ top }), sent]).toEqual([[], []]);
  });
});
