FROM corpus.test/base
COPY . /all
