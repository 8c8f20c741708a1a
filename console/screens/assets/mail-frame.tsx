import { useEffect, useRef, useState } from 'preact/hooks';
import { api, outcome } from '../../api/client.ts';
import type { Problem } from '../../api/problem.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import type { Asset } from './asset-parts.tsx';

/** Pictures of the mail itself that are shown at most. */
const maxPictures = 100;

/**
 * The body of a mail. The service makes it safe (`/assets/{id}/html`); here it stands in a frame of its own whose policy
 * and sandbox allow no script, no form and no connection, and pictures from elsewhere only once the reader has asked.
 */
export function MailFrame({ asset: { id } }: { readonly asset: Asset }) {
  const [remote, setRemote] = useState(false);
  const [blocked, setBlocked] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [shown, setShown] = useState(false);
  const frame = useRef<HTMLIFrameElement>(null);
  const [ready, setReady] = useState(0);
  const show = async (signal: AbortSignal) => {
    const answer = await outcome(
      api.GET('/assets/{id}/html', {
        params: { path: { id }, query: remote ? { remote: 'true' } : {} },
        parseAs: 'text',
        signal,
      }),
    );
    const inner = frame.current?.contentDocument;
    if (signal.aborted || !inner) return undefined;
    setProblem(answer.ok ? undefined : answer.problem);
    if (!answer.ok) return undefined;
    setBlocked(answer.response.headers.get('x-remote-content') === 'blocked');
    const close = await put(String(answer.data), inner, { id, signal });
    setShown(true);
    return close;
  };
  useEffect(() => {
    if (ready === 0) return undefined;
    const controller = new AbortController();
    const showing = show(controller.signal);
    return () => {
      controller.abort();
      void showing.then((close) => close?.());
    };
  }, [id, ready]);
  return (
    <>
      <ProblemBox problem={problem} retry={() => setReady(ready + 1)} />
      {blocked && (
        <div class="notice warn">
          <p>
            Pictures from elsewhere are not shown: loading them tells the sender that, when and where the mail was read.
          </p>
          <Button
            onClick={() => {
              setShown(false);
              setRemote(true);
            }}
          >
            Load pictures from elsewhere
          </Button>
        </div>
      )}
      {!shown && !problem && <p role="status">Loading the body …</p>}
      <iframe
        // Another policy is another page.
        key={String(remote)}
        ref={frame}
        class="mail"
        title="Body of the mail"
        sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"
        referrerpolicy="no-referrer"
        src={`${base}/${remote ? 'frame-with-pictures' : 'frame'}`}
        onLoad={() => setReady((before) => before + 1)}
      />
    </>
  );
}

/** Puts the page of a mail into the frame. Answers what lets its pictures go. */
async function put(html: string, inner: Document, of: { readonly id: string; readonly signal: AbortSignal }) {
  // By the frame's own parser, so that its policy applies to every element from the first moment on.
  const view = inner.defaultView as (Window & typeof globalThis) | null;
  const page = new (view?.DOMParser ?? DOMParser)().parseFromString(html, 'text/html');
  const pictures = [...page.querySelectorAll('img')].filter((img) =>
    /^attachments\/\d+$/.test(img.getAttribute('src') ?? ''),
  );
  const waiting = pictures.map((img) => {
    const n = Number(/\d+$/.exec(img.getAttribute('src') ?? '')?.[0]);
    // Never asked for without the key.
    img.removeAttribute('src');
    return { img, n };
  });
  inner.body.replaceChildren(...[...page.body.childNodes].map((node) => inner.adoptNode(node)));
  const addresses: string[] = [];
  for (const { img, n } of waiting.slice(0, maxPictures)) {
    if (of.signal.aborted) break;
    const address = await picture(of.id, n, of.signal);
    if (address === undefined) continue;
    addresses.push(address);
    img.src = address;
  }
  return () => {
    for (const address of addresses) URL.revokeObjectURL(address);
  };
}

/** A picture of the mail as an address of this tab; undefined where it cannot be had. */
async function picture(id: string, n: number, signal: AbortSignal): Promise<string | undefined> {
  const answer = await outcome(
    api.GET('/assets/{id}/attachments/{n}', { params: { path: { id, n } }, parseAs: 'blob', signal }),
  );
  return answer.ok ? URL.createObjectURL(answer.data) : undefined;
}
