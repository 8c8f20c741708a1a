import { z } from 'zod';
import { importRequestSchema } from '../../inbox/import-now.ts';
import { dryRunSchema } from '../../inbox/importing/dry-run.ts';
import { runViewSchema } from '../../inbox/ledger/runs.ts';
import { exampleIds, exampleMessageId, exampleRun } from '../openapi/examples.ts';
import { json, list, type Operation } from '../openapi/operation.ts';
import { listQuery } from '../paging.ts';
import { startedRunSchema } from './answers.ts';

const dryRun: z.input<typeof dryRunSchema> = {
  items: [
    {
      folder: 'INBOX',
      sourceId: 'imap:mail.example.com:corpus/INBOX;17/42',
      messageId: exampleMessageId,
      subject: 'Report for March',
      receivedAt: '2026-03-02T07:58:00.000Z',
      size: 18_432,
      action: 'import',
      reason: 'new',
      disposal: 'mark read',
    },
  ],
};

/** What can be done with imports. */
export const importOperations = {
  'account-import': {
    route: 'POST /accounts/{account}/import',
    needs: 'Mailroom.Admin',
    summary: 'Import now',
    description:
      'A run under way goes round once more. `Prefer: wait=N` answers the run itself if it ended in that time. `dryRun: true` says what an import would do, and changes nothing.',
    headers: ['prefer'],
    body: { optional: true, content: json(importRequestSchema, { dryRun: true, folder: 'INBOX' }) },
    answers: {
      200: {
        description: 'The run, which has ended, or what an import would do.',
        content: json(z.union([runViewSchema, dryRunSchema]), dryRun),
      },
      202: {
        description: 'The run goes on.',
        content: json(startedRunSchema, { runId: exampleIds.run, status: 'running' }),
        headers: ['location'],
      },
    },
    problems: [404, 409, 413],
  },
  'account-runs-list': {
    route: 'GET /accounts/{account}/runs',
    needs: 'Mailroom.Read',
    summary: 'List the imports of an account, newest first',
    description: 'A scheduled run that found nothing and changed nothing may be left out.',
    query: listQuery(),
    answers: { 200: { description: 'A page of runs.', content: list(runViewSchema, exampleRun) } },
    problems: [404],
  },
  'account-run-get': {
    route: 'GET /accounts/{account}/runs/{runId}',
    needs: 'Mailroom.Read',
    summary: 'Follow one import',
    answers: { 200: { description: 'The run.', content: json(runViewSchema, exampleRun) } },
    problems: [404],
  },
} as const satisfies Readonly<Record<string, Operation>>;
