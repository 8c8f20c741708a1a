/** What became of a mail for one recipient (RFC 3464 section 2.3). */
export interface ReportedRecipient {
  /** As the sender wrote it, where the report has it (`Original-Recipient`), else as the server had it. */
  readonly address: string;
  readonly action: DeliveryAction | undefined;
  /** An enhanced status code (RFC 3463), such as `5.1.1`. */
  readonly status: string | undefined;
  /** What the server that refused said. */
  readonly diagnostic: string | undefined;
}

export type DeliveryAction = 'failed' | 'delayed' | 'delivered' | 'relayed' | 'expanded';

/** What a mail reports about another mail. */
export interface DeliveryReport {
  readonly recipients: readonly ReportedRecipient[];
  /** Of the mail that is reported about, with its angle brackets. */
  readonly messageId: string | undefined;
}

/** Characters kept of what a server said. */
export const MAX_DIAGNOSTIC = 1_000;

const enhanced = /(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)/;

/** The first enhanced status code of a text. */
export function statusIn(text: string): string | undefined {
  return enhanced.exec(text)?.[0];
}

/** One line, at most `MAX_DIAGNOSTIC` characters. Undefined where there is nothing. */
export function diagnosticOf(text: string): string | undefined {
  return (
    text
      .slice(0, 4 * MAX_DIAGNOSTIC)
      .replace(/\s+/g, ' ')
      .trim()
      .slice(0, MAX_DIAGNOSTIC) || undefined
  );
}
