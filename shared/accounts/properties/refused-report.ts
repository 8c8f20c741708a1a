import type { NewSecret } from './new-secrets.ts';
import type { PropertyReport } from './properties-form.ts';

/** The report of a request that was refused: nothing was stored, and what would have been a secret says so. */
export function refusedReport(
  report: readonly PropertyReport[],
  secrets: readonly NewSecret[],
): readonly PropertyReport[] {
  const properties = new Set(secrets.map(({ property }) => property));
  return report.map((entry) =>
    properties.has(entry.name) && entry.outcome !== 'ignored'
      ? {
          ...entry,
          outcome: 'ignored',
          detail: 'not stored in Key Vault: the request was refused, and nothing is stored',
        }
      : entry,
  );
}
