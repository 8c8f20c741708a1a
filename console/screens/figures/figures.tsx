import { Page } from '../../parts/page.tsx';
import { DayCharts } from '../account/day-charts.tsx';

/** What came and went, of all accounts together. */
export function Figures() {
  return (
    <Page title="Figures">
      <p class="quiet">All accounts together, those included that were deleted since. Days are of UTC.</p>
      <DayCharts />
    </Page>
  );
}
