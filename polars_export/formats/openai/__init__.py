"""Records for fine-tuning at OpenAI."""
