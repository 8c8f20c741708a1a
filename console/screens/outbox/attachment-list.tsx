import { useId, useRef } from 'preact/hooks';
import { useRefusal } from '../../api/permissions.ts';
import { Button } from '../../parts/button.tsx';
import { useMistake } from '../../parts/form.tsx';
import { useKeptFocus } from '../../parts/kept-focus.ts';
import { sizeText } from '../../parts/size.ts';
import { type Attached, attach, attached, detach, maxBytes, send } from './attachments.ts';

/** Files to be sent along: chosen, and uploaded at once, with how much of each has left. */
export function AttachmentList() {
  const input = useRef<HTMLInputElement>(null);
  const list = useKeptFocus<HTMLUListElement>(input);
  const id = useId();
  const refusal = useRefusal('upload-create');
  const files = attached.value;
  const bytes = files.reduce((sum, { file }) => sum + file.size, 0);
  return (
    <fieldset>
      <legend>Attachments</legend>
      <div class="field">
        <label for={id}>Add files</label>
        <input
          id={id}
          ref={input}
          type="file"
          multiple
          disabled={refusal !== undefined}
          aria-describedby={`${id}-hint`}
          onChange={({ currentTarget }) => {
            void attach([...(currentTarget.files ?? [])]);
            // The same file may be chosen again.
            currentTarget.value = '';
          }}
        />
        <p class="hint" id={`${id}-hint`}>
          {refusal ?? `At most ${sizeText(maxBytes)} together.`}
        </p>
      </div>
      {files.length > 0 && (
        <ul ref={list} class="files" aria-label="Attached files">
          {files.map((one, index) => (
            <AttachedFile key={one.id} attached={one} index={index} />
          ))}
        </ul>
      )}
      {bytes > maxBytes && <p class="mistake">The files have {sizeText(bytes)} together. That is too much.</p>}
    </fieldset>
  );
}

function AttachedFile({ attached: one, index }: { readonly attached: Attached; readonly index: number }) {
  const { id, file, sent, problem } = one;
  const pointer = `/attachments/${index}`;
  const wrong = [
    useMistake(`${pointer}/upload`),
    useMistake(`${pointer}/filename`),
    useMistake(`${pointer}/contentType`),
    problem?.text,
  ].filter((each) => each !== undefined);
  const percent = file.size === 0 ? 0 : Math.floor((sent / file.size) * 100);
  return (
    <li>
      <span class="file">
        {file.name} <span class="quiet">{sizeText(file.size)}</span>
      </span>
      {one.upload === undefined && !problem && (
        <>
          <progress max={100} value={percent} aria-label={`Upload of ${file.name}`} />
          <span>{percent} %</span>
        </>
      )}
      {one.upload !== undefined && <span class="quiet">uploaded</span>}
      {wrong.length > 0 && (
        <>
          <span class="mistake" role="alert">
            {wrong.join('; ')}
          </span>
          <Button onClick={() => send(id)}>Upload again</Button>
        </>
      )}
      <button type="button" class="plain" aria-label={`Remove ${file.name}`} onClick={() => detach(id)}>
        Remove
      </button>
    </li>
  );
}
