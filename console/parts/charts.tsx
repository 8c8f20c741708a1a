import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { paths } from '../api/openapi.d.ts';

type Day = paths['/stats']['get']['responses'][200]['content']['application/json']['items'][number];

export interface ChartsProps {
  /** Newest first, as the service answers them. */
  readonly days: readonly Day[];
}

interface Line {
  readonly name: string;
  /** A custom property. */
  readonly color: string;
  readonly dash?: number[];
  readonly value: (day: Day) => number | null;
}

interface Chart {
  readonly title: string;
  readonly lines: readonly Line[];
  /** Its numbers are counts; default true. */
  readonly whole?: boolean;
}

const charts: readonly Chart[] = [
  {
    title: 'Mails a day',
    lines: [
      { name: 'imported', color: '--chart-1', value: ({ imported }) => imported },
      { name: 'sent', color: '--chart-2', dash: [8, 4], value: ({ sent }) => sent },
    ],
  },
  {
    title: 'Trouble a day',
    lines: [
      { name: 'failed', color: '--chart-3', value: ({ failed }) => failed },
      { name: 'bounced', color: '--chart-2', dash: [8, 4], value: ({ bounced }) => bounced },
      { name: 'quarantined', color: '--chart-1', dash: [2, 3], value: ({ quarantined }) => quarantined },
    ],
  },
  {
    title: 'Left to import',
    lines: [{ name: 'backlog', color: '--chart-1', value: ({ backlog }) => backlog }],
  },
  {
    title: 'Seconds until sent',
    whole: false,
    lines: [
      { name: 'median', color: '--chart-1', value: ({ medianSeconds }) => medianSeconds },
      { name: '95 of 100', color: '--chart-2', dash: [8, 4], value: ({ p95Seconds }) => p95Seconds },
    ],
  },
];

/** Charts of days, each with its numbers as a table for whoever cannot see them. */
export function Charts({ days }: ChartsProps) {
  const inOrder = [...days].reverse();
  return (
    <div class="charts">
      {charts.map(({ title, lines, whole = true }) => (
        <figure key={title}>
          <figcaption>{title}</figcaption>
          <Plot days={inOrder} lines={lines} whole={whole} />
          <details>
            <summary>{title} in numbers</summary>
            <table class="numbers">
              <thead>
                <tr>
                  <th scope="col">Day (UTC)</th>
                  {lines.map(({ name }) => (
                    <th key={name} scope="col" class="number">
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {days.map((day) => (
                  <tr key={day.day}>
                    <th scope="row">{day.day}</th>
                    {lines.map(({ name, value }) => (
                      <td key={name} class="number" data-name={name}>
                        {value(day) ?? '–'}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        </figure>
      ))}
    </div>
  );
}

const height = 200;

/** Steps of an axis that counts mails: there is no half of one. */
const wholeSteps = Array.from({ length: 10 }, (_, digits) => [1, 2, 5].map((step) => step * 10 ** digits)).flat();

/** A day of UTC as the reader writes days, from seconds since the epoch. */
const dayName = (seconds: number) =>
  new Date(seconds * 1000).toLocaleDateString(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' });

interface PlotProps {
  readonly days: readonly Day[];
  readonly lines: readonly Line[];
  /** Its numbers are counts. */
  readonly whole: boolean;
}

function Plot({ days, lines, whole }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = place;
    if (!current) return undefined;
    const dark = matchMedia('(prefers-color-scheme: dark)');
    let plot: uPlot | undefined;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot(optionsFor(current, lines, whole), dataOf(days, lines), current);
    };
    draw();
    const resized = new ResizeObserver(() => plot?.setSize({ width: current.clientWidth, height }));
    resized.observe(current);
    dark.addEventListener('change', draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener('change', draw);
      plot?.destroy();
    };
  }, [days, lines, whole]);
  return <div ref={place} class="plot" aria-hidden="true" />;
}

function dataOf(days: readonly Day[], lines: readonly Line[]): uPlot.AlignedData {
  const at = days.map(({ day }) => Date.parse(`${day}T00:00:00Z`) / 1000);
  return [at, ...lines.map(({ value }) => days.map(value))];
}

function optionsFor(element: HTMLElement, lines: readonly Line[], whole: boolean): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name);
  const axis = {
    stroke: color('--quiet'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { stroke: color('--line') },
  };
  return {
    width: element.clientWidth,
    height,
    // Days are of UTC.
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    scales: { y: { range: (_, __, most) => [0, Math.max(most ?? 0, 1)] } },
    axes: [
      { ...axis, values: (_, days) => days.map(dayName) },
      { ...axis, size: 56, ...(whole ? { incrs: wholeSteps } : {}) },
    ],
    series: [
      { label: 'Day (UTC)', value: '{YYYY}-{MM}-{DD}' },
      ...lines.map(({ name, color: of, dash }) => ({
        label: name,
        stroke: color(of),
        width: 2,
        // A day between two without a figure has no line to be seen by.
        points: { show: true, size: 4, fill: color(of) },
        ...(dash ? { dash } : {}),
      })),
    ],
  };
}
