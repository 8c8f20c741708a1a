import { expect, it } from 'vitest';
import { type CellState, contractTable } from './contract-table.ts';

const cell = (contract: string, subject: string, assertion: string, state: CellState = 'passed') => ({
  contract,
  subject,
  assertion,
  state,
});

it('has a row for each assertion and a column for each protocol, and says what was not run', () => {
  const table = contractTable([
    cell('store', 'pop3', 'listing > brings everything'),
    cell('store', 'graph', 'listing > brings everything', 'failed'),
    cell('transport', 'smtp', 'commits once', 'skipped'),
    cell('transport', 'graph directly', 'commits once'),
  ]);
  expect(table.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
    ['pop3', 'graph', 'smtp'],
    ['store: listing > brings everything', 'ok', 'FAILED', '-'],
    ['transport: commits once', '-', 'ok', 'skip'],
  ]);
});

it('shows the worst of the ways in which a protocol is used, in whichever order they ended', () => {
  const ways = [cell('transport', 'smtp', 'x', 'failed'), cell('transport', 'smtp with STARTTLS', 'x')];
  for (const cells of [ways, [...ways].reverse()]) expect(contractTable(cells)).toMatch(/x {2}FAILED$/);
});
