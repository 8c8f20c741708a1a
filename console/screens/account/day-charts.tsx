import { api, outcome } from '../../api/client.ts';
import { useResource } from '../../api/resource.ts';
import { lazyPart } from '../../parts/lazy-part.tsx';
import { Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';

const Charts = lazyPart(async () => (await import('../../parts/charts.tsx')).Charts);

/** How often they are loaded anew, in ms. */
const everyMs = 60_000;

/** The last 30 days of an account, or of all. */
export function DayCharts({ account }: { readonly account?: string }) {
  const stats = useResource(
    `stats ${account ?? ''}`,
    (signal) =>
      account === undefined
        ? outcome(api.GET('/stats', { params: { query: { days: 30 } }, signal }))
        : outcome(api.GET('/accounts/{account}/stats', { params: { path: { account }, query: { days: 30 } }, signal })),
    { everyMs },
  );
  return (
    <Section title="The last 30 days">
      <ProblemBox problem={stats.problem} retry={stats.reload} />
      {stats.data && <Charts days={stats.data.items} />}
    </Section>
  );
}
