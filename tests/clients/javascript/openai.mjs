// OpenAI's JavaScript client: every case prints one line of JSON, `{case, …}`.
import OpenAI from "openai";
import { KEY, MODEL, SCHEMA, URL, parameters, image, report } from "./case.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const tools = [{ type: "function", function: { name: "get_weather", parameters } }];

await report("plain", async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages });
  return { text: answer.choices[0].message.content, usage: answer.usage.total_tokens };
});

await report("streamed", async () => {
  const options = { model: MODEL, messages, stream: true, stream_options: { include_usage: true } };
  let text = "";
  let usage = null;
  for await (const chunk of await client.chat.completions.create(options)) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text, usage: usage.total_tokens };
});

await report("tools", async () => {
  const stream = client.chat.completions.stream({ model: MODEL, messages, tools });
  const asked = (await stream.finalChatCompletion()).choices[0].message;
  const results = asked.tool_calls.map((call) => ({
    role: "tool",
    tool_call_id: call.id,
    content: "sunny",
  }));
  const turns = [...messages, asked, ...results];
  const answer = await client.chat.completions.create({ model: MODEL, messages: turns, tools });
  return {
    cities: asked.tool_calls.map((call) => JSON.parse(call.function.arguments).city),
    text: answer.choices[0].message.content,
  };
});

await report("structure", async () => {
  const answer = await client.chat.completions.parse({
    model: MODEL,
    messages,
    response_format: {
      type: "json_schema",
      json_schema: { name: "answer", schema: SCHEMA, strict: true },
    },
  });
  return JSON.parse(answer.choices[0].message.content);
});

await report("image", async () => {
  const content = [
    { type: "text", text: "What is it?" },
    { type: "image_url", image_url: { url: image } },
  ];
  const options = { model: MODEL, messages: [{ role: "user", content }] };
  return { text: (await client.chat.completions.create(options)).choices[0].message.content };
});

await report("responses", async () => {
  const stream = client.responses.stream({ model: MODEL, input: "Hello" });
  const kinds = [];
  for await (const event of stream) kinds.push(event.type);
  const whole = await client.responses.create({ model: MODEL, input: "Hello" });
  return {
    text: (await stream.finalResponse()).output_text,
    whole: whole.output_text,
    last: kinds.at(-1),
  };
});

await report("error", async () => {
  await client.chat.completions.create({ model: MODEL, messages });
});

await report("stop", async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages });
  return { reason: answer.choices[0].finish_reason };
});

await report("broken", async () => {
  const stream = await client.chat.completions.create({ model: MODEL, messages, stream: true });
  for await (const chunk of stream) void chunk;
});

await report("left", async () => {
  const stream = await client.chat.completions.create({ model: MODEL, messages, stream: true });
  for await (const chunk of stream) return { text: typeof chunk.choices[0].delta };
});
