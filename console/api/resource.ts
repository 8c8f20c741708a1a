import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { recovered } from './connection.ts';
import type { Outcome, Problem } from './problem.ts';
import { session, signIn } from './session.ts';

/** What a screen shows of the service. */
export interface Resource<T> {
  /** What was last answered; stays while it is loaded anew, and where that goes wrong. */
  readonly data: T | undefined;
  /** Why the last try brought nothing. */
  readonly problem: Problem | undefined;
  readonly loading: boolean;
  /** Loads it anew; resolves when that is done. */
  readonly reload: () => Promise<void>;
}

export interface ResourceOptions {
  /** Loaded anew so often, in ms, while the tab is in sight. Absent: only when asked for. */
  readonly everyMs?: number | undefined;
}

/**
 * Loads what a screen shows, when `key` changes, when somebody has signed in, and when the service is back; a load that
 * is overtaken is given up. `key` undefined: nothing is loaded.
 */
export function useResource<T>(
  key: string | undefined,
  load: (signal: AbortSignal) => Promise<Outcome<T>>,
  { everyMs }: ResourceOptions = {},
): Resource<T> {
  const [state, setState] = useState<{ key?: string | undefined; data?: T; problem?: Problem; loading: boolean }>({
    loading: true,
  });
  const latest = useRef(load);
  latest.current = load;
  const running = useRef<AbortController>(undefined);
  const reload = useCallback(async () => {
    running.current?.abort();
    running.current = undefined;
    const { by } = session.value;
    if (key === undefined || by === 'unknown' || by === 'nothing') return;
    const controller = new AbortController();
    running.current = controller;
    setState((before) => (before.key === key ? { ...before, loading: true } : { key, loading: true }));
    const answer = await latest.current(controller.signal);
    if (controller.signal.aborted) return;
    running.current = undefined;
    setState((before) => {
      if (answer.ok) return { key, data: answer.data, loading: false };
      return {
        key,
        ...(before.data === undefined ? {} : { data: before.data }),
        problem: answer.problem,
        loading: false,
      };
    });
  }, [key]);
  const of = `${signIn.value} ${recovered.value}`;
  useEffect(() => {
    void reload();
    return () => {
      running.current?.abort();
      running.current = undefined;
    };
  }, [reload, of]);
  useEffect(() => {
    if (everyMs === undefined) return undefined;
    const timer = setInterval(() => {
      // A load that takes longer than that is not given up for the next one, which might take as long.
      if (document.visibilityState === 'visible' && !running.current) void reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [reload, everyMs]);
  const { data, problem, loading } = state.key === key ? state : { data: undefined, problem: undefined, loading: true };
  return { data, problem, loading, reload };
}
