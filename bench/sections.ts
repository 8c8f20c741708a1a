import { chromium, dovecot, type missing } from './needs.ts';
import type { SectionResult } from './report.ts';

type Measure = (options: { readonly quick: boolean }) => Promise<SectionResult>;

/** A part of the benchmark that can be asked for by its name. */
interface Section {
  /** Its own modules alone are loaded. */
  readonly measure: () => Promise<Measure>;
  /** Programs that it cannot do without. */
  readonly needs?: Parameters<typeof missing>[0];
  /** Default: 20. */
  readonly limitMinutes?: number;
}

/** All of them, in the order in which they are measured. */
export const sections: Readonly<Record<string, Section>> = {
  import: { measure: async () => (await import('./import-rate.ts')).importRate, needs: [dovecot] },
  latency: { measure: async () => (await import('./latency.ts')).latency, needs: [dovecot], limitMinutes: 40 },
  transactions: { measure: async () => (await import('./transactions.ts')).transactions, needs: [dovecot] },
  accept: { measure: async () => (await import('./accept-latency.ts')).acceptLatency },
  send: { measure: async () => (await import('./send-rate.ts')).sendRate },
  accounts: { measure: async () => (await import('./accounts.ts')).accounts, limitMinutes: 40 },
  dead: { measure: async () => (await import('./dead-server.ts')).deadServer, needs: [dovecot] },
  day: { measure: async () => (await import('./day.ts')).dayOfAccounts, needs: [dovecot] },
  events: { measure: async () => (await import('./events-waiting.ts')).eventsWaiting, needs: [dovecot] },
  load: { measure: async () => (await import('./load-time.ts')).loadTime },
  console: { measure: async () => (await import('./console.ts')).consoleSpeed, needs: [chromium], limitMinutes: 40 },
  memory: { measure: async () => (await import('./memory.ts')).memory, needs: [dovecot], limitMinutes: 60 },
  torture: { measure: async () => (await import('./torture.ts')).torture },
};

/** The section of that name; throws where there is none. */
export function sectionOf(name: string): Section {
  const section = Object.hasOwn(sections, name) ? sections[name] : undefined;
  if (!section) throw new Error(`Unknown: ${name}. The sections are ${Object.keys(sections).join(', ')}.`);
  return section;
}
