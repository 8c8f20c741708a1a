/** A mutant that no test can tell from the code. */
export interface Equivalent {
  readonly file: string;
  /** Part of the line that it begins on. */
  readonly line: string;
  /** What it puts there. Absent: any mutant of the line that survives. */
  readonly replacement?: string;
  readonly reason: string;
}

/** Mutants that were looked at and change nothing that anybody could see. Each must still be met by a run over its file. */
export const equivalents: readonly Equivalent[] = [
  {
    file: 'shared/outbox/delivering/outcome.ts',
    line: "return recipient?.status === 'pending'",
    replacement: 'recipient.status',
    reason: 'Records of one message have the same recipients: only the compiler believes that there may be none.',
  },
  {
    file: 'shared/outbox/delivering/deliver.ts',
    line: "context.schedule.next(record.account, 'perMinute'",
    replacement: '""',
    reason: 'A name that tells one order of mails from the others; any other would do.',
  },
];
