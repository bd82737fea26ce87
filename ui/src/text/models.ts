// Which of the offered models is the one in use.
import type { ModelOption } from "../host/wire/ModelOption";

/** The option that the agent's own name for its model means; none where it offers no such. */
export function chosenModel(models: readonly ModelOption[], model: string | null): ModelOption | undefined {
  if (model === null) return undefined;
  return (
    models.find((option) => option.value === model) ?? models.find((option) => option.resolved === model)
  );
}
