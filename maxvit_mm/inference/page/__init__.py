"""A page that shows what a detector finds: uploads, what was found in them, Gradio's components, the server."""
