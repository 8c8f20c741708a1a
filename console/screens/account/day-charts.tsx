import { useEffect } from 'preact/hooks';
import { api, outcome } from '../../api/client.ts';
import { useResource } from '../../api/resource.ts';
import { lazyPart } from '../../parts/lazy-part.tsx';
import { Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';

const Charts = lazyPart(async () => (await import('../../parts/charts.tsx')).Charts);

/** How often they are loaded anew, in ms. */
const everyMs = 60_000;

export interface DayChartsProps {
  /** Absent: all accounts together. */
  readonly account?: string;
  /** Another number each time that something was done which changes them: they are then loaded anew. */
  readonly changes?: number;
}

/** The last 30 days of an account, or of all. */
export function DayCharts({ account, changes = 0 }: DayChartsProps) {
  const stats = useResource(
    `stats ${account ?? ''}`,
    (signal) =>
      account === undefined
        ? outcome(api.GET('/stats', { params: { query: { days: 30 } }, signal }))
        : outcome(api.GET('/accounts/{account}/stats', { params: { path: { account }, query: { days: 30 } }, signal })),
    { everyMs },
  );
  useEffect(() => {
    if (changes > 0) void stats.reload();
  }, [changes]);
  return (
    <Section title="The last 30 days">
      <ProblemBox problem={stats.problem} retry={stats.reload} />
      {!stats.data && !stats.problem && <p role="status">Loading the figures …</p>}
      {stats.data && <Charts days={stats.data.items} />}
    </Section>
  );
}
