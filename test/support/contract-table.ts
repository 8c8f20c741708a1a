import type { Reporter, TestCase, TestModule, TestSuite } from 'vitest/node';

/** How the contract suites of `test/contract/` name what they are run against. */
const contracts: readonly (readonly [contract: string, name: RegExp])[] = [
  ['store', /^store contract: (.+)$/],
  ['transport', /^(.+): the contract of a transport$/],
  ['TLS', /^TLS contract: (.+)$/],
];

const protocols = ['pop3', 'pop3s', 'imap', 'imaps', 'graph', 'smtp', 'smtps', 'sink'] as const;

export type CellState = 'passed' | 'failed' | 'skipped' | 'pending';

/** One assertion of a contract against one server. */
export interface ContractCell {
  readonly contract: string;
  /** What the suite is run against; its first word is the protocol. */
  readonly subject: string;
  readonly assertion: string;
  readonly state: CellState;
}

/** The worst of the ways in which a protocol is used is what its cell says. */
const worst: readonly CellState[] = ['failed', 'pending', 'skipped', 'passed'];
const words: Readonly<Record<CellState, string>> = { passed: 'ok', failed: 'FAILED', skipped: 'skip', pending: '?' };
/** The contract is not run against that protocol. */
const none = '-';

/** Every assertion of every contract, and what it came to on each protocol. */
export function contractTable(cells: readonly ContractCell[]): string {
  const rows = new Map<string, Map<string, CellState>>();
  for (const { contract, subject, assertion, state } of cells) {
    const name = `${contract}: ${assertion}`;
    const row = rows.get(name) ?? new Map<string, CellState>();
    const protocol = subject.split(' ')[0] ?? subject;
    const before = row.get(protocol);
    row.set(protocol, before !== undefined && worst.indexOf(before) < worst.indexOf(state) ? before : state);
    rows.set(name, row);
  }
  const used = protocols.filter((protocol) => [...rows.values()].some((row) => row.has(protocol)));
  const longest = Math.max(...[...rows.keys()].map((name) => name.length));
  const line = (name: string, texts: readonly string[]) =>
    [name.padEnd(longest), ...texts.map((text) => text.padEnd(6))].join('  ').trimEnd();
  return [
    line('', used),
    ...[...rows].map(([name, row]) =>
      line(
        name,
        used.map((protocol) => textOf(row.get(protocol))),
      ),
    ),
  ].join('\n');
}

const textOf = (state: CellState | undefined): string => (state === undefined ? none : words[state]);

function contractOf(suite: TestSuite): Pick<ContractCell, 'contract' | 'subject'> | undefined {
  for (const [contract, name] of contracts) {
    const subject = name.exec(suite.name)?.[1];
    if (subject !== undefined) return { contract, subject };
  }
  return undefined;
}

/** The names from below the contract's own suite down to the test. */
function assertionOf(test: TestCase, suite: TestSuite): string {
  const names = [test.name];
  for (let at = test.parent; at.type === 'suite' && at !== suite; at = at.parent) names.unshift(at.name);
  return names.join(' > ');
}

function cellsOf(modules: readonly TestModule[]): readonly ContractCell[] {
  return modules.flatMap((module) =>
    [...module.children.allSuites()].flatMap((suite) => {
      const found = contractOf(suite);
      if (!found) return [];
      return [...suite.children.allTests()].map((test) => ({
        ...found,
        assertion: assertionOf(test, suite),
        state: test.result().state,
      }));
    }),
  );
}

/** Prints, at the end of a run, the table of the contract suites that were in it. */
export default class ContractTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const cells = cellsOf(modules);
    if (cells.length > 0) console.log(`\nContracts, by protocol\n\n${contractTable(cells)}\n`);
  }
}
