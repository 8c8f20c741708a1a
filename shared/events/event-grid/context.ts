import type { Clock } from '../../platform/clock.ts';
import type { Rows } from '../../platform/rows.ts';
import type { Shutdown } from '../../platform/shutdown.ts';
import type { WakeUps } from '../deliveries/wake-ups.ts';
import type { TopicClient } from './topic-client.ts';

/** What delivering to the Event Grid topic works with; made once per process. */
export interface TopicContext {
  readonly clock: Clock;
  readonly rows: Rows;
  readonly shutdown: Shutdown;
  readonly wakeUps: WakeUps;
  /** Undefined: there is no topic. */
  readonly client: TopicClient | undefined;
}
