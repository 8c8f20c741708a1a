import { type AnswerProxy, startAnswerProxy } from './answer-proxy.ts';

/** A way to a server on which everything can stand still for a while, and then goes on as if nothing had been. */
export interface PauseProxy extends AnswerProxy {
  /** From the next answer on that holds `text`, nothing comes back. Resolves at that moment. */
  pauseAt(text: string): Promise<void>;
  resume(): void;
}

export async function startPauseProxy(target: { readonly host: string; readonly port: number }): Promise<PauseProxy> {
  let waitingFor: { readonly text: string; readonly met: () => void } | undefined;
  let paused = false;
  let kept: (() => void)[] = [];
  const proxy = await startAnswerProxy(target, (client) => (chunk) => {
    if (waitingFor && chunk.includes(waitingFor.text)) {
      paused = true;
      waitingFor.met();
      waitingFor = undefined;
    }
    if (paused) kept.push(() => client.write(chunk));
    else client.write(chunk);
  });
  return {
    ...proxy,
    pauseAt: (text) =>
      new Promise((resolve) => {
        waitingFor = { text, met: resolve };
      }),
    resume: () => {
      paused = false;
      const writes = kept;
      kept = [];
      for (const write of writes) write();
    },
  };
}
